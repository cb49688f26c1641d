"""The publish gate: is the deep matcher worth more than what is cheaper?

Everything here is exhaustive scoring of the whole catalogue for validation queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.baselines import BASELINES
from training.baselines.base import baseline_top_k, recommendation_histories
from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.validation import VALIDATION_KS, Validator
from vizsla.contracts.bundle import GateCheck
from vizsla.models.recommender.base import Matcher

__all__ = ["GATE_METRIC", "GateReport", "compare", "judge"]

GATE_METRIC = "recall_at_20"
MATCHER = "matcher"
COUNTING = "cooccurrence"


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate saw.

    Attributes:
        figures: Mean validation figures by model: ``matcher``, ``two_sided_head``,
            ``two_sided_model`` (stage 1 alone, where it was trained) and ``cooccurrence``.
        checks: The comparisons.
        publishable: Whether all of them were met.
    """

    figures: dict[str, dict[str, float]]
    checks: list[GateCheck]
    publishable: bool


def judge(
    matcher: Matcher,
    two_sided: Matcher | None,
    split: Split,
    cases: EvalCases,
    validate: Validator,
) -> GateReport:
    """Rank the validation queries by the matcher and by its rivals.

    Args:
        matcher: The deep matcher.
        two_sided: The model after stage 1, whose two-sided head was trained alone, or None.
        split: What item-item counting is fitted on.
        cases: Validation queries, the same that ``validate`` ranks.
        validate: Ranks them by a head of a matcher.
    """
    figures = {
        MATCHER: validate(matcher, "deep"),
        "two_sided_head": validate(matcher, "two_sided"),
    }
    if two_sided is not None:
        figures["two_sided_model"] = validate(two_sided, "two_sided")
    figures[COUNTING] = _counting(split, cases)
    return compare(figures)


def compare(figures: Mapping[str, Mapping[str, float]]) -> GateReport:
    """Compare the matcher's recall with that of every other model; ties are not enough.

    Example:
        >>> report = compare({"matcher": {"recall_at_20": 0.3}, "cooccurrence": {"recall_at_20": 0.3}})
        >>> report.publishable, report.checks[0].met
        (False, False)
    """
    own = figures[MATCHER][GATE_METRIC]
    checks = [
        GateCheck(
            rival=name,
            metric=GATE_METRIC,
            value=own,
            rival_value=values[GATE_METRIC],
            met=own > values[GATE_METRIC],
        )
        for name, values in figures.items()
        if name != MATCHER
    ]
    kept = {name: dict(values) for name, values in figures.items()}
    return GateReport(kept, checks, all(check.met for check in checks))


def _counting(split: Split, cases: EvalCases) -> dict[str, float]:
    baseline = BASELINES.load(COUNTING)()
    baseline.fit(split)
    histories = recommendation_histories(split, cases)
    top = baseline_top_k(baseline, cases, max(VALIDATION_KS), histories=histories)
    found = evaluate_ranking(top, cases.targets, VALIDATION_KS)
    return {name: float(values.mean()) for name, values in found.items()}
