"""Dynamic negative sampling: the highest-scoring of a few candidates."""

from __future__ import annotations

import torch

from training.candidates import CandidateSampler, CandidateSettings
from training.samplers.base import Negatives, SampleRequest

__all__ = ["DynamicSampler"]


class DynamicSampler(CandidateSampler):
    """Take the hardest unseen candidates; also the likeliest false negatives.

    References:
        Zhang et al., "Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
        Sampling", SIGIR 2013; Shi et al., WWW 2023 (top S of C candidates).
    """

    Settings = CandidateSettings

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates and keep the ``n_negatives`` highest-scoring ones."""
        candidates = self._source.draw(request, n_negatives)
        return self._keep_smallest(request, candidates, -candidates.scores, n_negatives)
