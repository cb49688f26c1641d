"""Candidates from which hard samplers choose.

Shapes: **P** positives of a batch, **S** negatives, **C** candidates.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from training.losses.logq import LogQ
from training.proposals import Proposal, draw_unseen
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest, SamplerSettings

__all__ = [
    "CandidateSampler",
    "CandidateSettings",
    "CandidateSource",
    "Candidates",
    "choose_smallest",
]


class CandidateSettings(SamplerSettings):
    """How candidates are drawn.

    Attributes:
        candidates_per_negative: Candidates drawn for each negative wanted; more are harder.
        proposal: Distribution of the candidates: ``uniform``, ``popularity``, or ``softmax`` of
            the score itself over a shared pool, with its exact ``log_q`` (importance sampling).
        alpha: Power of the interaction count under the ``popularity`` proposal.
        shared: One pool for the whole batch (one matrix product scores it) instead of
            candidates of each positive's own.
        pool_size: Size of the shared pool; 0 takes ``candidates_per_negative * n_negatives``.
            Under ``softmax`` a pool as large as the catalogue holds every item once.
        uniform_ratio: Under ``softmax``, share of the draws that are uniform over the pool,
            which bounds the importance weights.
    """

    candidates_per_negative: int = Field(default=5, ge=1)
    proposal: Literal["uniform", "popularity", "softmax"] = "uniform"
    alpha: float = Field(default=0.75, ge=0.0)
    shared: bool = False
    pool_size: int = Field(default=0, ge=0)
    uniform_ratio: float = Field(default=0.1, gt=0, le=1)


class Candidates(NamedTuple):
    """Scored candidates.

    Attributes:
        item_nums: ``(P, C)`` int64; a shared pool is repeated for every positive.
        scores: ``(P, C)`` float32.
        valid: ``(P, C)`` bool; False where the user has the item.
        log_q: ``(P, C)`` float32 log probability of one draw.
        redraw_ratio: Rejected draws per candidate.
    """

    item_nums: Tensor
    scores: Tensor
    valid: Tensor
    log_q: Tensor
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
            Proposal.popularity(data.item_counts, settings.alpha)
            if settings.proposal == "popularity"
            else Proposal.uniform(data.n_items)
        )

    @torch.no_grad()
    def draw(self, request: SampleRequest, n_negatives: int) -> Candidates:
        """Draw the candidates of one batch and score them."""
        count = self.settings.candidates_per_negative * n_negatives
        if self.settings.proposal == "softmax":
            return self._softmax(request, count)
        return self._pool(request, count) if self.settings.shared else self._own(request, count)

    def _own(self, request: SampleRequest, count: int) -> Candidates:
        draw = draw_unseen(
            self.proposal, self.data.seen, request.users, count, self.generator, distinct=True
        )
        scores, valid = request.score(draw.item_nums), draw.valid
        log_q = self.proposal.log_q[draw.item_nums]
        redraw_ratio = draw.n_redraws / draw.item_nums.numel()
        return Candidates(draw.item_nums, scores, valid, log_q, redraw_ratio)

    def _pool(self, request: SampleRequest, count: int) -> Candidates:
        size = self.settings.pool_size or count
        pool = torch.unique(self.proposal.draw((size,), self.generator))
        # unique sorts, and who takes candidates as they come must not get the smallest numbers
        pool = pool[torch.randperm(len(pool), generator=self.generator)]
        seen = self.data.seen.contains_shared(request.users, pool)
        items = pool.expand(len(request.users), -1)
        log_q = self.proposal.log_q[items]
        return Candidates(items, request.score(pool), ~seen, log_q, 0.0)

    def _softmax(self, request: SampleRequest, count: int) -> Candidates:
        """Draw from the softmax of the scores of a uniform pool, mixed with the uniform."""
        n_items = self.data.n_items
        pool = torch.randperm(n_items, generator=self.generator)[: self.settings.pool_size or count]
        scores, seen = request.score(pool), self.data.seen.contains_shared(request.users, pool)
        q = softmax_mixture(scores, ~seen, self.settings.uniform_ratio)
        columns = torch.multinomial(q, count, replacement=True, generator=self.generator)
        # the pool stands for the catalogue, so each of its items does for n_items / len(pool)
        log_q = torch.log(q.gather(1, columns)) + math.log(len(pool) / n_items)
        valid = ~seen.gather(1, columns)
        return Candidates(pool[columns], scores.gather(1, columns), valid, log_q, 0.0)


def softmax_mixture(scores: Tensor, allowed: Tensor, uniform_ratio: float) -> Tensor:
    """Return ``(P, C)`` probabilities: softmax of the allowed scores, mixed with the uniform.

    A row that allows nothing is uniform over everything.

    Example:
        >>> softmax_mixture(torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[True, True, False]]), 0.5)
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    allowed = allowed | ~allowed.any(dim=1, keepdim=True)
    hard = torch.softmax(scores.masked_fill(~allowed, -torch.inf), dim=1)
    uniform = allowed / allowed.sum(dim=1, keepdim=True)
    return (1.0 - uniform_ratio) * hard + uniform_ratio * uniform


def choose_smallest(
    candidates: Candidates, cost: Tensor, n_negatives: int
) -> tuple[Negatives, Tensor]:
    """Keep, per positive, the valid candidates of smallest cost.

    Args:
        candidates: What to choose from.
        cost: ``(P, C)`` float32, finite.
        n_negatives: How many to keep, S; fewer where there are fewer candidates.

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
    return Negatives(items, candidates.log_q.gather(1, columns), weight, stats), columns


class CandidateSampler(Sampler):
    """A sampler that keeps some of the candidates of its source.

    Args:
        data: The training data.
        settings: How candidates are drawn.
        generator: Source of randomness.
    """

    def __init__(
        self, data: SamplerData, settings: CandidateSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self._source = CandidateSource(data, settings, generator)

    @classmethod
    def logq_modes(cls, settings: SamplerSettings) -> tuple[LogQ, ...]:
        """Return ``off`` alone: nobody knows how likely a chosen candidate was to be chosen."""
        return ("off",)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log probability under the proposal; the choice after it is not counted.

        Under ``softmax`` that is a uniform draw of the pool: how likely a positive would be is
        not known.
        """
        return self._source.proposal.log_q[item_nums]

    def _keep_smallest(
        self, request: SampleRequest, candidates: Candidates, cost: Tensor, n_negatives: int
    ) -> Negatives:
        """Keep the candidates of smallest cost, and note how informative they are."""
        negatives, columns = choose_smallest(candidates, cost, n_negatives)
        positive = request.score(request.positives[:, None])
        info = torch.sigmoid(candidates.scores.gather(1, columns) - positive)
        negatives.stats["info"] = float((info * negatives.weight).mean())
        return negatives
