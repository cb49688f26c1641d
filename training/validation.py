"""Validation while training: exhaustive scoring of a fixed sample of queries."""

from __future__ import annotations

from collections.abc import Callable

from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.ranking import Head, exhaustive_top_k, sample_cases
from vizsla.models.recommender.base import Matcher

__all__ = [
    "VALIDATION_KS",
    "Validator",
    "ranking_validator",
    "training_validator",
    "validation_cases",
]

VALIDATION_KS = (10, 20, 50)

Validator = Callable[[Matcher, Head], dict[str, float]]
"""Maps a matcher and one of its heads to mean figures such as ``recall_at_20``."""


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

    def validate(matcher: Matcher, head: Head) -> dict[str, float]:
        top = exhaustive_top_k(matcher, split, cases, max(VALIDATION_KS), head=head)
        found = evaluate_ranking(top, cases.targets, VALIDATION_KS)
        return {name: float(values.mean()) for name, values in found.items()}

    return validate
