"""Validation while training: exhaustive scoring of a fixed sample of queries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.ranking import Head, exhaustive_ranking, sample_cases
from vizsla.models.recommender.base import Matcher

__all__ = [
    "VALIDATION_KS",
    "PerQuery",
    "Validator",
    "mean_figures",
    "per_query_figures",
    "ranking_validator",
    "training_validator",
    "validation_cases",
]

VALIDATION_KS = (10, 20, 50)

Validator = Callable[[Matcher, Head], dict[str, float]]
"""Maps a matcher and one of its heads to mean figures such as ``recall_at_20``."""

PerQuery = dict[str, NDArray[np.float64]]
"""Figure to its ``(Q,)`` values, one per query."""

CHEAP_RATIO = 10
"""How many times more queries the two-sided head ranks in training; it still costs less."""


def training_validator(split: Split, n_queries: int, seed: int) -> Validator:
    """Make the validator that ends stages and picks weights.

    The deep head ranks a sample of ``n_queries``, the two-sided one a sample ten times as
    large: picking the best of many epochs by few queries picks luck.
    """
    deep = ranking_validator(split, validation_cases(split, n_queries, seed))
    cheap = ranking_validator(split, validation_cases(split, CHEAP_RATIO * n_queries, seed))
    return lambda matcher, head: (deep if head == "deep" else cheap)(matcher, head)


def validation_cases(split: Split, n_queries: int, seed: int) -> EvalCases:
    """Return the same seeded sample of the validation queries every time; 0 for all."""
    return sample_cases(split.validation, n_queries or None, seed)


def ranking_validator(split: Split, cases: EvalCases) -> Validator:
    """Make a validator that ranks the whole catalogue, seen items removed."""
    return lambda matcher, head: mean_figures(per_query_figures(matcher, split, cases, head))


def per_query_figures(matcher: Matcher, split: Split, cases: EvalCases, head: Head) -> PerQuery:
    """Rank the whole catalogue for every query, seen items removed."""
    ranking = exhaustive_ranking(matcher, split, cases, max(VALIDATION_KS), head=head)
    return evaluate_ranking(ranking.top_items, cases.targets, VALIDATION_KS) | {"nll": ranking.nll}


def mean_figures(values: PerQuery) -> dict[str, float]:
    """Return each figure's mean over the queries."""
    return {name: float(own.mean()) for name, own in values.items()}
