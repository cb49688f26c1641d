"""In-batch negatives: the other users' positives."""

from __future__ import annotations

import torch
from torch import Tensor

from training.proposals import Proposal
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest, SamplerSettings

__all__ = ["InBatchSampler"]


class InBatchSampler(Sampler):
    """Share the batch's positives as negatives: popular items come as often as they occur.

    ``n_negatives`` bounds how many are used; a seeded subset is taken where the batch has more.
    ``log_q`` is the log of the item's share of the interactions, so the logQ
    correction undoes the popularity of such negatives.
    """

    is_shared = True

    def __init__(
        self, data: SamplerData, settings: SamplerSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        # a batch may hold items that the counts miss (count 0); their share is then one interaction
        self._log_q = Proposal(data.item_counts.clamp(min=1)).log_q

    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Take the batch's own positives."""
        items = request.positives
        if n_negatives < len(items):
            items = items[torch.randperm(len(items), generator=self.generator)[:n_negatives]]
        return self.shared(request, items)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log of the item's share of all interactions."""
        return self._log_q[item_nums]
