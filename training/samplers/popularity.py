"""Popularity negatives: proportional to a power of the item's interactions."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from training.proposals import Proposal
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest, SamplerSettings
from training.samplers.uniform import draw_own

__all__ = ["PopularitySampler", "PopularitySettings"]


class PopularitySettings(SamplerSettings):
    """Settings of ``popularity``.

    Attributes:
        alpha: Power of the interaction count, dimensionless; 1 is the unigram distribution,
            0.75 the usual flattening, 0 uniform over the items that occur.
        shared: One draw for the whole batch instead of one per positive.
    """

    alpha: float = Field(default=0.75, ge=0.0)
    shared: bool = True


class PopularitySampler(Sampler):
    """Draw items in proportion to ``count ** alpha`` by inverting the cumulative sum."""

    Settings = PopularitySettings

    def __init__(
        self, data: SamplerData, settings: PopularitySettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self.is_shared = settings.shared
        self.proposal = Proposal.popularity(data.item_counts, settings.alpha)

    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw shared or own popular negatives."""
        if not self.is_shared:
            return draw_own(self, self.proposal, request, n_negatives)
        items = self.proposal.draw((n_negatives,), self.generator)
        return self.shared(request, items)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log of ``count ** alpha`` over its sum; -inf for items never drawn."""
        return self.proposal.log_q[item_nums]
