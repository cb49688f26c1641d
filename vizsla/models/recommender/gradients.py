"""The derivative of a matcher's score by the item vector."""

from __future__ import annotations

import torch
from torch import Tensor

from vizsla.models.recommender.base import Matcher, UserState

__all__ = ["score_gradient"]


@torch.inference_mode(mode=False)
def score_gradient(matcher: Matcher, state: UserState, row: int, vectors: Tensor) -> Tensor:
    """Return ``(C, D)`` derivatives of one user's scores at ``(C, D)`` item vectors.

    Through the plain forward: the tables of what an item's vector decides are of no use here,
    so a derivative costs several scores.

    Args:
        matcher: In evaluation mode.
        state: Of several users; may have been made without gradients.
        row: Which of them.
        vectors: Item vectors.
    """
    part = slice(row, row + 1)
    own = UserState(*(tensor[part].clone() for tensor in _tensors(state)))
    with torch.enable_grad():
        moved = vectors.clone().requires_grad_()
        total = matcher.scores(own, moved).sum()
        (gradient,) = torch.autograd.grad(total, moved)
    return gradient


def _tensors(state: UserState) -> tuple[Tensor, ...]:
    return state.user, state.values, state.keys, state.mask
