"""Dynamic negative sampling: the highest-scoring of a few candidates, or some of the highest."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from training.candidates import CandidateSampler, CandidateSettings
from training.samplers.base import Negatives, SamplerData, SampleRequest
from vizsla.errors import ConfigError

__all__ = ["DynamicSampler", "DynamicSettings"]


class DynamicSettings(CandidateSettings):
    """Settings of ``dns``.

    Attributes:
        top: Above 0, negatives are drawn at random among this many highest-scoring candidates,
            DNS(M, N); 0 takes the highest.
    """

    top: int = Field(default=0, ge=0)


class DynamicSampler(CandidateSampler):
    """Take the hardest unseen candidates; also the likeliest false negatives.

    References:
        Zhang et al., "Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
        Sampling", SIGIR 2013; Shi et al., WWW 2023 (DNS(M, N): M of the top of N candidates).
    """

    Settings = DynamicSettings

    def __init__(
        self, data: SamplerData, settings: DynamicSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self._top = settings.top

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates and keep ``n_negatives`` of the highest-scoring ones.

        Raises:
            ConfigError: More negatives than ``top`` are asked for.
        """
        if 0 < self._top < n_negatives:
            raise ConfigError(
                f"sampler dns: top = {self._top} is fewer than {n_negatives} negatives"
            )
        candidates = self._source.draw(request, n_negatives)
        cost = -candidates.scores
        if self._top:
            cost = self._shuffled_top(cost.masked_fill(~candidates.valid, torch.inf))
        return self._keep_smallest(request, candidates, cost, n_negatives)

    def _shuffled_top(self, cost: Tensor) -> Tensor:
        """Return random costs in [0, 1) for the smallest ones and 1 for all others."""
        columns = torch.topk(cost, min(self._top, cost.shape[1]), dim=1, largest=False).indices
        noise = torch.rand(columns.shape, generator=self.generator)
        return torch.ones_like(cost).scatter_(1, columns, noise)
