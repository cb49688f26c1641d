"""Validation while training: exhaustive scoring of a fixed sample of queries."""

from __future__ import annotations

from collections.abc import Callable

from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.ranking import Head, exhaustive_top_k, sample_cases
from vizsla.models.recommender.base import Matcher

__all__ = ["VALIDATION_KS", "Validator", "ranking_validator", "validation_cases"]

VALIDATION_KS = (10, 20, 50)

Validator = Callable[[Matcher, Head], dict[str, float]]
"""Maps a matcher and one of its heads to mean figures such as ``recall_at_20``."""


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
