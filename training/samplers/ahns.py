"""Adaptive hardness: the harder a positive is already beaten, the softer its negative."""

from __future__ import annotations

import torch
from pydantic import Field

from training.candidates import CandidateSampler, CandidateSettings
from training.samplers.base import Negatives, SamplerData, SampleRequest

__all__ = ["AdaptiveHardnessSampler", "AdaptiveHardnessSettings"]

LOWEST = 1e-3
"""A positive that scores below zero asks for the hardest candidate."""


class AdaptiveHardnessSettings(CandidateSettings):
    """Settings of ``ahns``.

    Attributes:
        shift: ``alpha`` of the paper, added to the positive's score.
        scale: ``beta``: score asked for at ``positive + shift = 1``.
        power: ``p``, below -1: how fast the hardness falls as the positive's score rises.
    """

    candidates_per_negative: int = Field(default=16, ge=1)
    shift: float = 0.1
    scale: float = Field(default=0.4, gt=0)
    power: float = Field(default=-2.0, lt=-1)


class AdaptiveHardnessSampler(CandidateSampler):
    """Take the candidates whose score is nearest to ``scale * (positive + shift) ** (power + 1)``.

    References:
        Lai et al., "Adaptive Hardness Negative Sampling for Collaborative Filtering", AAAI 2024.
    """

    Settings = AdaptiveHardnessSettings

    def __init__(
        self, data: SamplerData, settings: AdaptiveHardnessSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self._settings = settings

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates and keep those of the hardness asked for."""
        candidates = self._source.draw(request, n_negatives)
        own = self._settings
        positive = request.score(request.positives[:, None])
        wanted = own.scale * (positive + own.shift).clamp(min=LOWEST) ** (own.power + 1.0)
        cost = (candidates.scores - wanted).abs()
        return self._keep_smallest(request, candidates, cost, n_negatives)
