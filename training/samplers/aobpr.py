"""Adaptive oversampling: items that rank high by one factor that matters to the user.

Shapes: **P** positives of a batch, **S** negatives, **N** items, **D** factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from training.losses.logq import LogQ
from training.proposals import MAX_REDRAWS, Proposal, draw_unseen
from training.samplers.base import (
    Factors,
    Negatives,
    Sampler,
    SamplerData,
    SampleRequest,
    SamplerSettings,
)
from vizsla.errors import ConfigError

__all__ = ["AdaptiveOversampler", "AdaptiveOversamplerSettings"]


class AdaptiveOversamplerSettings(SamplerSettings):
    """Settings of ``aobpr``.

    Attributes:
        mean_rank_ratio: Mean of the geometric distribution of the rank that is drawn, as a
            share of the catalogue: smaller is harder.
    """

    mean_rank_ratio: float = Field(default=0.1, gt=0)


class AdaptiveOversampler(Sampler):
    """Draw a factor by its weight for the user, a rank from a geometric distribution, and its item.

    The items' order by each factor is refreshed after ``N log N`` draws, so a draw costs
    no scores at all.

    References:
        Rendle and Freudenthaler, "Improving Pairwise Learning for Item Recommendation from
        Implicit Feedback", WSDM 2014, section 5.3.
    """

    Settings = AdaptiveOversamplerSettings
    remembers = True

    def __init__(
        self, data: SamplerData, settings: AdaptiveOversamplerSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self._mean_rank = max(settings.mean_rank_ratio * data.n_items, 1e-3)
        self._uniform = Proposal.uniform(data.n_items)
        self._order = torch.empty(0, data.n_items, dtype=torch.int32)
        self._spread = torch.empty(0)
        self._n_draws_left = 0

    @classmethod
    def logq_modes(cls, settings: SamplerSettings) -> tuple[LogQ, ...]:
        """Return ``off`` alone."""
        return ("off",)

    def state(self) -> dict[str, Tensor]:
        """Return the generator's state and the order of the items by each factor."""
        own = {"order": self._order, "spread": self._spread}
        return super().state() | own | {"n_draws_left": torch.tensor(self._n_draws_left)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an earlier ``state``."""
        super().load_state(state)
        self._order, self._spread = state["order"], state["spread"]
        self._n_draws_left = int(state["n_draws_left"])

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw ``n_negatives`` unseen items for each positive.

        Raises:
            ConfigError: The score is no dot product.
        """
        if request.factors is None:
            raise ConfigError(
                "sampler aobpr needs a score that is a dot product: score = two_sided"
            )
        self._refresh(request.factors, len(request.users) * n_negatives)
        affinity = request.factors.users()
        items = self._draw(affinity, n_negatives)
        bad, n_redraws = self.data.seen.contains(request.users, items), 0
        for _ in range(MAX_REDRAWS):
            if not bool(bad.any()):
                break
            rows = bad.any(dim=1).nonzero()[:, 0]
            n_redraws += int(bad.sum())
            drawn = self._draw(affinity[rows], n_negatives)
            items[rows] = torch.where(bad[rows], drawn, items[rows])
            bad[rows] = self.data.seen.contains(request.users[rows], items[rows])
        return self._negatives(request, items, bad, n_redraws)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return ``-log N``: what a draw is without any factor."""
        return self._uniform.log_q[item_nums]

    def _refresh(self, factors: Factors, n_draws: int) -> None:
        if self._n_draws_left <= 0:
            vectors = factors.items()
            self._order = torch.argsort(vectors, dim=0, descending=True).T.int().contiguous()
            self._spread = vectors.std(dim=0, correction=0)
            self._n_draws_left = math.ceil(self.data.n_items * math.log(self.data.n_items + 1.0))
        self._n_draws_left -= n_draws

    def _draw(self, affinity: Tensor, n_negatives: int) -> Tensor:
        """Draw ``(P, S)`` items for users with vectors ``(P, D)``."""
        # the constant keeps a user whose vector is still zero drawable
        weights = affinity.abs() * self._spread + 1e-12
        factor = torch.multinomial(weights, n_negatives, replacement=True, generator=self.generator)
        rank = self._ranks(factor.shape)
        falling = affinity.gather(1, factor) > 0
        place = torch.where(falling, rank, self.data.n_items - 1 - rank)
        return self._order[factor, place].long()

    def _ranks(self, shape: tuple[int, ...]) -> Tensor:
        """Draw ranks in [0, N) with ``P(r)`` proportional to ``exp(-r / mean_rank)``."""
        points = torch.rand(shape, generator=self.generator, dtype=torch.float64)
        all_mass = -math.expm1(-self.data.n_items / self._mean_rank)
        ranks = -self._mean_rank * torch.log1p(-points * all_mass)
        return ranks.long().clamp_(max=self.data.n_items - 1)

    def _negatives(
        self, request: SampleRequest, items: Tensor, bad: Tensor, n_redraws: int
    ) -> Negatives:
        """Fill what is still bad with uniform draws."""
        valid = torch.ones_like(bad)
        rows = bad.any(dim=1).nonzero()[:, 0]
        if len(rows):
            users = request.users[rows]
            rest = draw_unseen(self._uniform, self.data.seen, users, items.shape[1], self.generator)
            items[rows] = torch.where(bad[rows], rest.item_nums, items[rows])
            valid[rows] = rest.valid | ~bad[rows]
        weight = valid.float()
        stats = {
            "masked_ratio": 1.0 - float(weight.mean()),
            "redraw_ratio": n_redraws / max(items.numel(), 1),
        }
        return Negatives(items, self.log_q(items), weight, stats)
