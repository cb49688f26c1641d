"""What one training step of a backbone computes.

Shapes: **P** pairs of a batch, **S** negatives, **D** embedding size, **N** items.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import embedding

from training.backbone_recipe import BackboneRecipe
from training.losses import LOSSES
from training.losses.base import LogitBatch, Loss
from training.losses.logq import correct
from training.objective import NegativeSource, StepLoss
from training.pairs import PairBatch
from training.plans import Moment
from training.samplers.base import Factors, Negatives, SampleRequest
from vizsla.models.recommender.backbones import Backbone

__all__ = ["PairObjective", "Watch", "dot_request"]

Watch = Callable[[SampleRequest, Negatives, float], None]
"""Looks at every draw and the seconds it took; must not change it, nor draw from its generator."""


class PairObjective:
    """The loss of a backbone as a function of a batch.

    Args:
        model: What is trained.
        recipe: Loss, regularisation and how they are summed.
        source: Where negatives come from.
        watch: Looks at every draw.
    """

    def __init__(
        self,
        model: Backbone,
        recipe: BackboneRecipe,
        source: NegativeSource,
        watch: Watch | None = None,
    ) -> None:
        self._model, self._recipe, self._source, self._watch = model, recipe, source, watch
        self._loss: Loss = LOSSES.load(recipe.loss)

    def __call__(self, batch: PairBatch, moment: Moment) -> StepLoss:
        """Compute the loss of a batch at a moment of the run."""
        user_table, item_table = self._model.tables()
        # an embedding lookup, not indexing: its backward adds in a fixed order
        user = embedding(batch.users, user_table)
        request = dot_request(batch, user.detach(), item_table.detach(), moment.epoch)
        started_s = time.perf_counter()
        drawn = self._source.sampler.sample(request, self._source.settings.n_negatives)
        if self._watch is not None:
            self._watch(request, drawn, time.perf_counter() - started_s)
        positive = embedding(batch.positives, item_table)
        negative = embedding(drawn.item_nums, item_table)
        losses = self._loss(self._logits(batch, drawn, user, positive, negative))
        total = self._reduced(losses) + self._penalty(batch, drawn, user, positive, negative)
        name = self._source.name
        figures = {f"{name}_{key}": value for key, value in drawn.stats.items()}
        figures["example_loss"] = float(losses.detach().mean())
        return StepLoss(total, figures, len(batch))

    def _logits(
        self, batch: PairBatch, drawn: Negatives, user: Tensor, positive: Tensor, negative: Tensor
    ) -> LogitBatch:
        scale = 1.0 / self._recipe.temperature
        raw = LogitBatch(
            (user * positive).sum(dim=1) * scale, dot(user, negative) * scale, drawn.weight
        )
        mode = self._source.settings.logq
        if mode == "off":
            return raw
        own_log_q = self._source.sampler.log_q(batch.positives)
        return correct(raw, own_log_q, drawn.log_q, mode)

    def _reduced(self, values: Tensor) -> Tensor:
        return values.sum() if self._recipe.reduction == "sum" else values.mean()

    def _penalty(
        self, batch: PairBatch, drawn: Negatives, user: Tensor, positive: Tensor, negative: Tensor
    ) -> Tensor:
        """Return the L2 penalty of the embeddings that the batch touches, once per touch."""
        weight = self._recipe.touched_reg
        if not weight:
            return torch.zeros(())
        if self._recipe.is_propagated:
            user = embedding(batch.users, self._model.users)
            positive = embedding(batch.positives, self._model.items)
            negative = embedding(drawn.item_nums, self._model.items)
        squares = user.square().sum(dim=1) + positive.square().sum(dim=1)
        if negative.dim() == 3:
            squares = squares + negative.square().sum(dim=(1, 2))
        return 0.5 * weight * self._reduced(squares)


def dot_request(batch: PairBatch, user: Tensor, items: Tensor, epoch: int = 0) -> SampleRequest:
    """Ask for negatives under dot products of ``(P, D)`` user with ``(N, D)`` item vectors."""

    def score(item_nums: Tensor) -> Tensor:
        return dot(user, items[item_nums])

    factors = Factors(lambda: user, lambda: items)
    return SampleRequest(batch.users, batch.positives, score, epoch, factors)


def dot(users: Tensor, items: Tensor) -> Tensor:
    """Return ``(P, S)`` dot products of ``(P, D)`` users with ``(S, D)`` or ``(P, S, D)`` items."""
    if items.dim() == 2:
        return users @ items.T
    # on a CPU, products of tiny matrices, and their gradients, cost several times as much as this
    return (items * users[:, None]).sum(dim=2)
