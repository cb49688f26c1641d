"""Bayesian negative sampling: hard negatives that are probably true negatives.

Shapes: **P** positives of a batch, **S** negatives, **C** candidates, **R** references.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from training.candidates import Candidates, CandidateSampler, CandidateSettings, choose_smallest
from training.priors import PRIORS, FalseNegativePrior
from training.samplers.base import Negatives, SamplerData, SampleRequest
from training.score_cdf import score_cdf

__all__ = ["BayesianSampler", "BayesianSettings", "Judgement", "bayesian_negatives", "judge"]


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


class BayesianSettings(CandidateSettings):
    """Settings of ``bns``.

    Attributes:
        weight: ``lambda`` of the risk: larger prefers safe negatives over hard ones.
        prior: How likely an unseen item is liked after all: ``item_item`` (calibrated,
            personal), or ``popularity`` (the paper's).
        cdf: ``sampled`` ranks a candidate among ``n_references`` shared uniform items,
            ``exact`` among the whole catalogue.  The tiny popularity prior needs ``exact``.
        n_references: Reference items of the sampled function, refreshed each batch.
        combiner: ``risk`` is the paper's rule; ``posterior`` takes the safest candidates
            whatever their hardness; ``reweight`` keeps the candidates as drawn and gives
            each its posterior as its weight, so that the logQ correction stays exact.
        strength: How much of the posterior ``reweight`` takes over, in [0, 1]: a weight is
            ``1 - strength * (1 - posterior)``.  The posterior of the hardest candidates is
            near 0 whatever their prior, which at full strength inflates their scores.
    """

    weight: float = Field(default=10.0, ge=0.0)
    prior: Literal["item_item", "popularity"] = "item_item"
    cdf: Literal["sampled", "exact"] = "sampled"
    n_references: int = Field(default=64, ge=1)
    combiner: Literal["risk", "posterior", "reweight"] = "risk"
    strength: float = Field(default=1.0, ge=0.0, le=1.0)


class BayesianSampler(CandidateSampler):
    """Take the unseen candidates of smallest risk, see ``bayesian_negatives``."""

    Settings = BayesianSettings

    def __init__(
        self, data: SamplerData, settings: BayesianSettings, generator: torch.Generator
    ) -> None:
        super().__init__(data, settings, generator)
        self.settings = settings
        self.prior: FalseNegativePrior = PRIORS.load(settings.prior)(data)

    @torch.no_grad()
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw candidates, judge them, and keep the best ``n_negatives``."""
        candidates = self._source.draw(request, n_negatives)
        judgement = self._judge(request, candidates)
        cost = self._cost(judgement)
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

    def _judge(self, request: SampleRequest, candidates: Candidates) -> Judgement:
        return judge(
            request.score(request.positives[:, None])[:, 0],
            candidates.scores,
            self._cdf(request, candidates.scores),
            self.prior(request.users, candidates.item_nums),
            weight=self.settings.weight,
        )

    def _cdf(self, request: SampleRequest, scores: Tensor) -> Tensor:
        n_items, n_references = self.data.n_items, self.settings.n_references
        if self.settings.cdf == "exact" or n_references >= n_items:
            references = torch.arange(n_items)
        else:
            references = torch.randint(n_items, (n_references,), generator=self.generator)
        unseen = ~self.data.seen.contains_shared(request.users, references)
        return score_cdf(scores, request.score(references), unseen)

    def _cost(self, judgement: Judgement) -> Tensor:
        if self.settings.combiner == "risk":
            return judgement.risk
        if self.settings.combiner == "posterior":
            return -judgement.unbias
        return torch.arange(judgement.risk.shape[1]).float().expand_as(judgement.risk)
