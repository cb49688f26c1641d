"""The publish gate: is the deep matcher worth more than what is cheaper?

Everything here is exhaustive scoring of the whole catalogue for validation queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.baselines import BASELINES
from training.baselines.base import baseline_top_k, recommendation_histories
from training.bootstrap import paired_differences
from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.validation import VALIDATION_KS, PerQuery, mean_figures, per_query_figures
from vizsla.contracts.bundle import GateCheck
from vizsla.models.recommender.base import Matcher

__all__ = ["GATE_METRIC", "GateReport", "compare", "judge"]

GATE_METRIC = "recall_at_20"
MATCHER = "matcher"
HEAD = "two_sided_head"
COUNTING = "cooccurrence"

ROUNDING = 1e-9
"""Equal lists of several targets have recalls that differ by as much."""


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
    matcher: Matcher, two_sided: Matcher | None, split: Split, cases: EvalCases, seed: int = 0
) -> GateReport:
    """Rank the validation queries by the matcher and by its rivals.

    Args:
        matcher: The deep matcher.
        two_sided: The model after stage 1, whose two-sided head was trained alone, or None.
        split: What item-item counting is fitted on.
        cases: Validation queries.
        seed: Of the intervals.
    """
    values = {
        MATCHER: per_query_figures(matcher, split, cases, "deep"),
        HEAD: per_query_figures(matcher, split, cases, "two_sided"),
    }
    if two_sided is not None:
        values["two_sided_model"] = per_query_figures(two_sided, split, cases, "two_sided")
    values[COUNTING] = _counting(split, cases)
    return compare(values, seed)


def compare(values: Mapping[str, PerQuery], seed: int = 0) -> GateReport:
    """Compare the matcher's recall with that of every other model; ties are not enough.

    Example:
        >>> import numpy as np
        >>> same = {"recall_at_20": np.array([0.0, 1.0])}
        >>> report = compare({"matcher": same, "cooccurrence": same})
        >>> report.publishable, report.checks[0].met, report.checks[0].high
        (False, False, 0.0)
    """
    ours = values[MATCHER][GATE_METRIC]
    theirs = {name: own[GATE_METRIC] for name, own in values.items() if name != MATCHER}
    gains = paired_differences(dict.fromkeys(theirs, ours), theirs, seed=seed)
    checks = [
        GateCheck(
            rival=name,
            metric=GATE_METRIC,
            value=float(ours.mean()),
            rival_value=float(theirs[name].mean()),
            met=gain.mean > ROUNDING,
            low=gain.low,
            high=gain.high,
        )
        for name, gain in gains.items()
    ]
    figures = {name: mean_figures(own) for name, own in values.items()}
    return GateReport(figures, checks, all(check.met for check in checks))


def _counting(split: Split, cases: EvalCases) -> PerQuery:
    baseline = BASELINES.load(COUNTING)()
    baseline.fit(split)
    histories = recommendation_histories(split, cases)
    top = baseline_top_k(baseline, cases, max(VALIDATION_KS), histories=histories)
    return evaluate_ranking(top, cases.targets, VALIDATION_KS)
