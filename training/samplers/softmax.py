"""Negatives drawn from the softmax of the score itself."""

from __future__ import annotations

import torch
from pydantic import Field

from training.candidates import CandidateSampler, CandidateSettings
from training.losses.logq import LogQ
from training.samplers.base import Negatives, SamplerData, SampleRequest, SamplerSettings

__all__ = ["SoftmaxSampler", "SoftmaxSettings"]


class SoftmaxSettings(SamplerSettings):
    """Settings of ``softmax``.

    Attributes:
        pool_size: Uniform items shared by the batch that the softmax is over; one as large as
            the catalogue holds every item once.
        uniform_ratio: Share of the draws that are uniform over the pool, which bounds the
            importance weights.
    """

    pool_size: int = Field(default=4096, ge=1)
    uniform_ratio: float = Field(default=0.1, gt=0, le=1)


class SoftmaxSampler(CandidateSampler):
    """Importance sampling of the full softmax: hard negatives, each with its probability.

    With ``logq = "negatives"`` the sampled sum of exponentials estimates that over all items the
    user does not have without bias, so hard negatives do not teach the score that what is likely
    is wrong.

    References:
        Bengio and Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural
        Probabilistic Language Model", IEEE Trans. Neural Networks 2008.
    """

    Settings = SoftmaxSettings

    def __init__(
        self, data: SamplerData, settings: SoftmaxSettings, generator: torch.Generator
    ) -> None:
        drawn = CandidateSettings(
            proposal="softmax", candidates_per_negative=1, **settings.model_dump()
        )
        super().__init__(data, drawn, generator)

    @classmethod
    def logq_modes(cls, settings: SamplerSettings) -> tuple[LogQ, ...]:
        """Return all but ``all``: how likely the positive was is not known."""
        return ("off", "negatives")

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw ``n_negatives`` per positive, with replacement; items the user has weigh 0."""
        candidates = self._source.draw(request, n_negatives)
        cost = torch.zeros_like(candidates.scores)
        return self._keep_smallest(request, candidates, cost, n_negatives)
