"""Bayesian negative sampling: hard negatives that are probably true negatives.

Shapes: **P** positives of a batch, **S** negatives, **C** candidates, **R** references.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from training.candidates import CandidateSampler, CandidateSettings, choose_smallest
from training.losses.logq import LogQ
from training.priors import PRIORS, FalseNegativePrior
from training.samplers.base import Negatives, SamplerData, SampleRequest, SamplerSettings
from training.score_cdf import score_cdf

__all__ = [
    "BayesianSampler",
    "BayesianSettings",
    "Judgement",
    "bayesian_negatives",
    "harmonic_mean",
    "judge",
]


class Judgement(NamedTuple):
    """What Bayesian negative sampling thinks of candidates, each ``(P, C)`` float32.

    Attributes:
        info: Gradient magnitude of the pairwise loss, in (0, 1).
        unbias: Probability of being a true negative, given the score, in [0, 1].
        risk: ``info * (1 - (1 + weight) * unbias)``; smaller is better.
    """

    info: Tensor
    unbias: Tensor
    risk: Tensor


def judge(
    positive_scores: Tensor,
    candidate_scores: Tensor,
    candidate_cdf: Tensor,
    false_negative_prior: Tensor,
    *,
    weight: float = 5.0,
) -> Judgement:
    """Return informativeness, posterior and risk of every candidate.

    True negatives score like the smaller and false negatives like the larger of two
    draws from the user's unseen items, so their densities are ``2 f (1 - F)`` and
    ``2 f F``; ``f`` cancels in the posterior, whatever the model.

    Args:
        positive_scores: ``(P,)`` float32.
        candidate_scores: ``(P, C)`` float32.
        candidate_cdf: ``(P, C)`` float32 ``F`` in [0, 1].
        false_negative_prior: ``(P, C)`` float32 in [0, 1].
        weight: ``lambda``, at least 0.

    Example:
        With ``F = 1/2`` a score says nothing, and the posterior is ``1 - prior``:

        >>> half = torch.tensor([[0.5]])
        >>> judge(torch.zeros(1), torch.zeros(1, 1), half, torch.tensor([[0.2]])).unbias
        tensor([[0.8000]])
    """
    info = torch.sigmoid(candidate_scores - positive_scores[:, None])
    true = (1.0 - candidate_cdf) * (1.0 - false_negative_prior)
    false = candidate_cdf * false_negative_prior
    unbias = true / (true + false).clamp_(min=1e-12)
    return Judgement(info, unbias, info * (1.0 - (1.0 + weight) * unbias))


def bayesian_negatives(
    positive_scores: Tensor,
    candidate_scores: Tensor,
    candidate_cdf: Tensor,
    false_negative_prior: Tensor,
    *,
    weight: float = 5.0,
) -> Tensor:
    """Pick, per positive, the candidate that is informative yet likely a true negative.

    For candidate ``l`` with score ``x_l``, CDF value ``F`` and prior ``p``::

        info(l)   = 1 - sigmoid(x_pos - x_l)
        unbias(l) = (1 - F)(1 - p) / (1 - F - p + 2 F p)       # P(true negative | x_l)
        risk(l)   = info(l) * (1 - (1 + weight) * unbias(l))   # smallest wins

    Deterministic: all randomness is in drawing the candidates, which is the
    caller's job, so this function is testable by hand.

    Args:
        positive_scores: ``(P,)`` float32, model score of each positive item.
        candidate_scores: ``(P, C)`` float32, scores of unobserved candidates.
        candidate_cdf: ``(P, C)`` float32 in [0, 1], share of the user's unobserved
            items that score no higher than the candidate.
        false_negative_prior: ``(P, C)`` float32 in (0, 1), P(false negative) before
            seeing the score.
        weight: ``lambda`` in the paper, dimensionless, ``>= 0``.  Larger prefers
            safe negatives over hard ones.

    Returns:
        ``(P,)`` int64 column of the chosen candidate; the first on a tie.

    Raises:
        ValueError: Shapes disagree, ``C == 0`` or ``weight < 0``.

    Example:
        Equal priors; the second candidate outscores almost everything the user has
        not seen, so it is probably a false negative and is avoided:

        >>> bayesian_negatives(
        ...     torch.tensor([1.0]), torch.tensor([[0.5, 3.0]]),
        ...     torch.tensor([[0.5, 0.999]]), torch.tensor([[0.01, 0.01]]),
        ... ).tolist()
        [0]

    References:
        Liu and Wang, "Bayesian Negative Sampling for Recommendation", ICDE 2023.
    """
    _check(positive_scores, (candidate_scores, candidate_cdf, false_negative_prior), weight)
    judgement = judge(
        positive_scores, candidate_scores, candidate_cdf, false_negative_prior, weight=weight
    )
    return judgement.risk.argmin(dim=1)


def _check(positive_scores: Tensor, tables: tuple[Tensor, Tensor, Tensor], weight: float) -> None:
    shape = tables[0].shape
    if any(table.shape != shape for table in tables) or shape[:1] != positive_scores.shape:
        raise ValueError(f"shapes disagree: {positive_scores.shape}, {[t.shape for t in tables]}")
    if not shape[1]:
        raise ValueError("there must be at least one candidate")
    if weight < 0:
        raise ValueError(f"weight must be at least 0, not {weight}")


def harmonic_mean(info: Tensor, unbias: Tensor) -> Tensor:
    """Return ``2 info unbias / (info + unbias)``, the trade-off that the paper's abstract names.

    Example:
        >>> harmonic_mean(torch.tensor([0.5]), torch.tensor([1.0]))
        tensor([0.6667])
    """
    return 2.0 * info * unbias / (info + unbias).clamp(min=1e-12)


class BayesianSettings(CandidateSettings):
    """Settings of ``bns``.

    Attributes:
        weight: ``lambda`` of the risk: larger prefers safe negatives over hard ones.
        weight_step: How much ``lambda`` falls per epoch, down to ``min_weight``.
        min_weight: Where it stops to fall.
        warmup_epochs: Epochs in which the candidates are taken as drawn: scores are noise then.
        prior: How likely an unseen item is liked after all: ``item_item`` (calibrated,
            personal), ``popularity`` (the paper's), ``group`` (popularity among users of the
            same ``group``), ``constant``; ``oracle`` reads held-out positives and is refused
            outside of analysis.
        group: User feature of the ``group`` prior, such as ``occupation``.
        constant: The ``constant`` prior.
        cdf: ``sampled`` ranks a candidate among ``n_references`` shared uniform items,
            ``exact`` among the whole catalogue.  The tiny popularity prior needs ``exact``.
        n_references: Reference items of the sampled function, refreshed each batch.
        combiner: ``risk`` is the rule of the released code; ``harmonic`` maximises the harmonic
            mean of informativeness and posterior, as the abstract says; ``posterior`` takes
            the safest candidates whatever their hardness; ``reweight`` keeps the candidates as
            drawn and gives each its posterior as its weight, so that the logQ correction
            stays exact.
        strength: How much of the posterior ``reweight`` takes over, in [0, 1]: a weight is
            ``1 - strength * (1 - posterior)``.  The posterior of the hardest candidates is
            near 0 whatever their prior, which at full strength inflates their scores.
    """

    candidates_per_negative: int = Field(default=20, ge=1)
    weight: float = Field(default=10.0, ge=0.0)
    weight_step: float = Field(default=0.0, ge=0.0)
    min_weight: float = Field(default=0.1, ge=0.0)
    warmup_epochs: int = Field(default=0, ge=0)
    prior: Literal["item_item", "popularity", "group", "constant", "oracle"] = "item_item"
    group: str = ""
    constant: float = Field(default=0.5, gt=0.0, lt=1.0)
    cdf: Literal["sampled", "exact"] = "sampled"
    n_references: int = Field(default=64, ge=1)
    combiner: Literal["risk", "harmonic", "posterior", "reweight"] = "risk"
    strength: float = Field(default=1.0, ge=0.0, le=1.0)

    def weight_at(self, epoch: int) -> float:
        """Return ``lambda`` after some epochs.

        Example:
            >>> BayesianSettings(weight=10.0, weight_step=0.5).weight_at(4)
            8.0
        """
        if not self.weight_step:
            return self.weight
        return max(self.weight - self.weight_step * epoch, min(self.min_weight, self.weight))


class BayesianSampler(CandidateSampler):
    """Take the unseen candidates of smallest risk, see ``bayesian_negatives``."""

    Settings = BayesianSettings

    def __init__(
        self, data: SamplerData, settings: BayesianSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self.settings = settings
        self.prior: FalseNegativePrior = PRIORS.load(settings.prior)(data, settings)

    @classmethod
    def logq_modes(cls, settings: SamplerSettings) -> tuple[LogQ, ...]:
        """Return all where candidates are kept as drawn, otherwise ``off`` alone."""
        own = isinstance(settings, BayesianSettings) and settings.combiner == "reweight"
        return ("off", "negatives", "all") if own else ("off",)

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates, judge them, and keep the best ``n_negatives``."""
        candidates = self._source.draw(request, n_negatives)
        judgement = self.judge(request, candidates.item_nums, candidates.scores)
        cost = self._cost(judgement, request.epoch)
        negatives, columns = choose_smallest(candidates, cost, n_negatives)
        unbias = judgement.unbias.gather(1, columns)
        n_used = negatives.weight.sum().clamp(min=1.0)
        info = judgement.info.gather(1, columns)
        negatives.stats["info"] = float((info * negatives.weight).sum() / n_used)
        negatives.stats["unbias"] = float((unbias * negatives.weight).sum() / n_used)
        if self.settings.combiner != "reweight":
            return negatives
        weight = negatives.weight * (1.0 - self.settings.strength * (1.0 - unbias))
        return Negatives(negatives.item_nums, negatives.log_q, weight, negatives.stats)

    @torch.no_grad()
    def judge(self, request: SampleRequest, item_nums: Tensor, scores: Tensor) -> Judgement:
        """Judge ``(P, C)`` unseen items with their scores."""
        return judge(
            request.score(request.positives[:, None])[:, 0],
            scores,
            self._cdf(request, item_nums, scores),
            self.prior(request.users, item_nums),
            weight=self.settings.weight_at(request.epoch),
        )

    def _cdf(self, request: SampleRequest, item_nums: Tensor, scores: Tensor) -> Tensor:
        n_items, n_references = self.data.n_items, self.settings.n_references
        whole = self.settings.cdf == "exact" or n_references >= n_items
        if whole:
            references = torch.arange(n_items)
        else:
            references = torch.randint(n_items, (n_references,), generator=self.generator)
        unseen = ~self.data.seen.contains_shared(request.users, references)
        known = request.score(references)
        # a candidate must be found among the references with the very bits of its score
        return score_cdf(known.gather(1, item_nums) if whole else scores, known, unseen)

    def _cost(self, judgement: Judgement, epoch: int) -> Tensor:
        combiner = self.settings.combiner
        if combiner == "reweight" or epoch < self.settings.warmup_epochs:
            return torch.arange(judgement.risk.shape[1]).float().expand_as(judgement.risk)
        if combiner == "harmonic":
            return -harmonic_mean(judgement.info, judgement.unbias)
        return judgement.risk if combiner == "risk" else -judgement.unbias
