"""Candidates from which hard samplers choose.

Shapes: **P** positives of a batch, **S** negatives, **C** candidates.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from training.proposals import Proposal, draw_unseen
from training.samplers.base import Negatives, SamplerData, SampleRequest, SamplerSettings

__all__ = ["CandidateSettings", "CandidateSource", "Candidates", "choose_smallest"]


class CandidateSettings(SamplerSettings):
    """How candidates are drawn.

    Attributes:
        candidates_per_negative: Candidates drawn for each negative wanted; more are harder.
        proposal: Distribution of the candidates.
        alpha: Power of the interaction count under the ``popularity`` proposal.
        shared: One pool for the whole batch (one matrix product scores it) instead of
            candidates of each positive's own.
        pool_size: Size of the shared pool; 0 takes ``candidates_per_negative * n_negatives``.
    """

    candidates_per_negative: int = Field(default=5, ge=1)
    proposal: Literal["uniform", "popularity"] = "uniform"
    alpha: float = Field(default=0.75, ge=0.0)
    shared: bool = False
    pool_size: int = Field(default=0, ge=0)


class Candidates(NamedTuple):
    """Scored candidates.

    Attributes:
        item_nums: ``(P, C)`` int64; a shared pool is repeated for every positive.
        scores: ``(P, C)`` float32.
        valid: ``(P, C)`` bool; False where the user has the item.
        redraw_ratio: Rejected draws per candidate.
    """

    item_nums: Tensor
    scores: Tensor
    valid: Tensor
    redraw_ratio: float


class CandidateSource:
    """Draws and scores candidates, distinct within a row."""

    def __init__(
        self, data: SamplerData, settings: CandidateSettings, generator: torch.Generator
    ) -> None:
        self.data = data
        self.settings = settings
        self.generator = generator
        self.proposal = (
            Proposal.uniform(data.n_items)
            if settings.proposal == "uniform"
            else Proposal.popularity(data.item_counts, settings.alpha)
        )

    @torch.no_grad()
    def draw(self, request: SampleRequest, n_negatives: int) -> Candidates:
        """Draw the candidates of one batch and score them."""
        count = max(self.settings.candidates_per_negative * n_negatives, n_negatives)
        return self._pool(request, count) if self.settings.shared else self._own(request, count)

    def _own(self, request: SampleRequest, count: int) -> Candidates:
        draw = draw_unseen(
            self.proposal, self.data.seen, request.users, count, self.generator, distinct=True
        )
        scores = request.score(draw.item_nums)
        valid = draw.valid & (draw.item_nums != request.positives[:, None])
        return Candidates(draw.item_nums, scores, valid, draw.n_redraws / draw.item_nums.numel())

    def _pool(self, request: SampleRequest, count: int) -> Candidates:
        size = self.settings.pool_size or count
        pool = torch.unique(self.proposal.draw((size,), self.generator))
        seen = self.data.seen.contains_shared(request.users, pool)
        seen |= request.positives[:, None] == pool
        items = pool.expand(len(request.users), -1)
        return Candidates(items, request.score(pool), ~seen, 0.0)


def choose_smallest(
    candidates: Candidates, cost: Tensor, n_negatives: int, log_q: Tensor
) -> tuple[Negatives, Tensor]:
    """Keep, per positive, the valid candidates of smallest cost.

    Args:
        candidates: What to choose from.
        cost: ``(P, C)`` float32, finite.
        n_negatives: How many to keep, S; fewer where there are fewer candidates.
        log_q: ``(N,)`` log probability of one draw of the proposal.

    Returns:
        The negatives, and the ``(P, S)`` int64 chosen columns.
    """
    cost = cost.masked_fill(~candidates.valid, torch.inf)
    n_kept = min(n_negatives, cost.shape[1])
    columns = torch.topk(cost, n_kept, dim=1, largest=False).indices
    items = candidates.item_nums.gather(1, columns)
    weight = candidates.valid.gather(1, columns).float()
    stats = {
        "masked_ratio": 1.0 - float(weight.mean()),
        "redraw_ratio": candidates.redraw_ratio,
    }
    return Negatives(items, log_q[items], weight, stats), columns
