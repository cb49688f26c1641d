"""The auxiliary task that makes a matcher flat around every item vector.

A graph built from distances between item vectors only helps a search if items
that lie close score alike.  The task perturbs the output of the item net by
the worst step of a given length and asks for the same answer.

Shapes: **P** positives of a batch, **A** items perturbed per positive, **D** vector size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["AdversarialLoss", "Direction", "Where", "adversarial_loss", "relative_epsilon"]

LogitFn = Callable[[Tensor], Tensor]
"""Maps ``(P, A, D)`` item vectors to ``(P, A)`` logits, the positive's in column 0."""

_TINY = 1e-20
"""The gradient of a sure answer is very short, but it still points somewhere."""


Direction = Literal["sign", "gradient"]
"""``sign``: every coordinate moves by epsilon (fast gradient sign method, as in the paper).
``gradient``: along the gradient itself, as far: ``epsilon * sqrt(D)`` in L2 length per item."""

Where = Literal["all", "positive", "negatives"]
"""Which items are moved.  The divergence is always over all of them: moving the positive alone
asks that a target stays where it is when its own neighbourhood is entered from the side, moving
the negatives alone that no neighbour of a negative overtakes it."""


@dataclass(frozen=True, slots=True)
class AdversarialLoss:
    """The task's loss and what it saw.

    Attributes:
        loss: Scalar, KL divergence of the clean from the perturbed softmax, mean over P.
        epsilon: Length of the perturbation per coordinate.
        sensitivity: Mean ``|s(e) - s(e + step)|`` over all items, moved or not.
    """

    loss: Tensor
    epsilon: float
    sensitivity: float


def relative_epsilon(vectors: Tensor, rho: float) -> float:
    """Return ``rho`` times the mean absolute coordinate of ``(..., D)`` vectors.

    A fixed length could be escaped by growing the vectors; a share of their size cannot.

    Example:
        >>> relative_epsilon(torch.tensor([[1.0, -3.0]]), 0.5)
        1.0
    """
    return rho * float(vectors.detach().abs().mean())


def adversarial_loss(
    logits_of: LogitFn,
    vectors: Tensor,
    mask: Tensor,
    rho: float,
    direction: Direction = "sign",
    where: Where = "all",
) -> AdversarialLoss:
    """Return the KL divergence between clean and perturbed answers.

    The step follows the gradient of the softmax loss by each user's own copy
    of each item vector; neither it nor the clean side carries a gradient, so
    only the perturbed side learns.

    Args:
        logits_of: The user's side, fixed; called with clean and with perturbed vectors.
        vectors: ``(P, A, D)`` float32 outputs of the item net, with their gradient.
        mask: ``(P, A)`` bool, False for items that take no part; column 0 is True.
        rho: Size of the perturbation relative to the vectors' mean absolute coordinate.
        direction: See ``Direction``; the length is the same for both.
        where: See ``Where``.

    Example:
        Nothing is perturbed at ``rho = 0``, so nothing is lost:

        >>> user = torch.ones(1, 2, 1)
        >>> task = adversarial_loss(lambda e: (e @ user)[..., 0], torch.eye(2)[None],
        ...                         torch.ones(1, 2, dtype=torch.bool), 0.0)
        >>> float(task.loss), task.sensitivity
        (0.0, 0.0)

    References:
        Chen et al., CIKM 2022, section 3.4 (equation 5); fast gradient sign method.
    """
    epsilon = relative_epsilon(vectors, rho)
    clean, gradient = _loss_gradient(logits_of, vectors, mask)
    step = epsilon * _unit_steps(gradient, direction) * _moved(mask, where)[..., None]
    perturbed = logits_of(vectors + step)
    target = _log_softmax(clean, mask)
    answer = _log_softmax(perturbed, mask)
    divergence = (target.exp() * (target - answer)).masked_fill(~mask, 0.0).sum(dim=1).mean()
    moved = (perturbed.detach() - clean).abs()[mask].mean()
    return AdversarialLoss(divergence, epsilon, float(moved))


def _loss_gradient(logits_of: LogitFn, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return detached clean logits and the gradient of the loss by the vectors."""
    with torch.enable_grad():
        free = vectors.detach().requires_grad_()
        logits = logits_of(free)
        loss = -_log_softmax(logits, mask)[:, 0].sum()
        (gradient,) = torch.autograd.grad(loss, free)
    return logits.detach(), gradient


def _unit_steps(gradient: Tensor, direction: Direction) -> Tensor:
    """Return ``(P, A, D)`` steps of L2 length ``sqrt(D)``; a vanished gradient moves nothing."""
    if direction == "sign":
        return gradient.sign()
    return math.sqrt(gradient.shape[-1]) * functional.normalize(gradient, dim=-1, eps=_TINY)


def _moved(mask: Tensor, where: Where) -> Tensor:
    """Return ``(P, A)`` bool: which items take the step."""
    if where == "all":
        return mask
    is_positive = torch.zeros_like(mask)
    is_positive[:, 0] = True
    return mask & (is_positive if where == "positive" else ~is_positive)


def _log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log softmax over the unmasked items; masked places hold a large negative number."""
    return torch.log_softmax(logits.masked_fill(~mask, -1e9), dim=1)
