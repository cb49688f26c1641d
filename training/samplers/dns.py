"""Dynamic negative sampling: the highest-scoring of a few candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from training.candidates import CandidateSettings, CandidateSource, choose_smallest
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest

__all__ = ["DynamicSampler"]


class DynamicSampler(Sampler):
    """Take the hardest unseen candidates; also the likeliest false negatives.

    References:
        Zhang et al., "Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
        Sampling", SIGIR 2013; Shi et al., WWW 2023 (top S of C candidates).
    """

    Settings = CandidateSettings

    def __init__(
        self, data: SamplerData, settings: CandidateSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self._source = CandidateSource(data, settings, generator)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log probability under the proposal; the choice after it is not counted."""
        return self._source.proposal.log_q[item_nums]

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates and keep the ``n_negatives`` highest-scoring ones."""
        candidates = self._source.draw(request, n_negatives)
        negatives, columns = choose_smallest(candidates, -candidates.scores, n_negatives)
        positive = request.score(request.positives[:, None])
        info = torch.sigmoid(candidates.scores.gather(1, columns) - positive)
        negatives.stats["info"] = float((info * negatives.weight).mean())
        return negatives
