"""Negatives drawn from the softmax of the score itself."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from training.candidates import CandidateSettings, CandidateSource, choose_smallest
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest, SamplerSettings

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


class SoftmaxSampler(Sampler):
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
        super().__init__(data, settings, generator)
        drawn = CandidateSettings(
            proposal="softmax", candidates_per_negative=1, **settings.model_dump()
        )
        self._source = CandidateSource(data, drawn, generator)

    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log probability of a uniform draw; a positive's own is not known."""
        return self._source.proposal.log_q[item_nums]

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw ``n_negatives`` per positive, with replacement; items the user has weigh 0."""
        found = self._source.draw(request, n_negatives)
        negatives, columns = choose_smallest(found, torch.zeros_like(found.scores), n_negatives)
        positive = request.score(request.positives[:, None])
        info = torch.sigmoid(found.scores.gather(1, columns) - positive)
        negatives.stats["info"] = float((info * negatives.weight).mean())
        return negatives
