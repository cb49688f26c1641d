"""Uniform negatives: every item alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.proposals import Proposal, draw_unseen
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest, SamplerSettings

__all__ = ["UniformSampler", "UniformSettings"]


class UniformSettings(SamplerSettings):
    """Settings of ``uniform``.

    Attributes:
        shared: One draw for the whole batch (cheap, masked where a user has the item)
            instead of one per positive (redrawn where a user has the item).
    """

    shared: bool = True


class UniformSampler(Sampler):
    """Draw items uniformly; asked for the whole catalogue or more, give every item once.

    The latter turns sampled softmax into the full softmax, which small catalogues can afford.
    """

    Settings = UniformSettings

    def __init__(
        self, data: SamplerData, settings: UniformSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self.is_shared = settings.shared
        self._proposal = Proposal.uniform(data.n_items)

    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw shared or own uniform negatives."""
        if not self.is_shared:
            return draw_own(self, self._proposal, request, n_negatives)
        n_items = self.data.n_items
        if n_negatives >= n_items:
            items = torch.arange(n_items)
        else:
            items = torch.randint(n_items, (n_negatives,), generator=self.generator)
        return self.shared(request, items)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return ``-log N`` for every item."""
        return torch.full(item_nums.shape, -math.log(self.data.n_items))


def draw_own(
    sampler: Sampler, proposal: Proposal, request: SampleRequest, n_negatives: int
) -> Negatives:
    """Draw unseen negatives for each positive from a proposal."""
    draw = draw_unseen(proposal, sampler.data.seen, request.users, n_negatives, sampler.generator)
    weight = draw.valid.float()
    stats = {
        "masked_ratio": 1.0 - float(weight.mean()),
        "redraw_ratio": draw.n_redraws / max(draw.item_nums.numel(), 1),
    }
    return Negatives(draw.item_nums, sampler.log_q(draw.item_nums), weight, stats)
