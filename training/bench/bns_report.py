"""What the rows of ``vizsla bench training --preset bns`` say: means, intervals, significance, targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from training.bench.bns_arms import ARMS, DEFAULT_ARM
from training.bench.bns_separation import posterior_error
from training.bench.form import Row, Target

__all__ = ["COLUMNS", "QUALITY", "bns_targets", "summarise"]

QUALITY = ("tnr", "info", "signed_info", "certified_tnr", "sample_ms")

METRICS = tuple(f"{name}_at_{k}" for k in (5, 10, 20) for name in ("precision", "recall", "ndcg"))

COLUMNS = (
    "dataset",
    "arm",
    "at",
    "epoch",
    "seeds",
    *METRICS,
    "ndcg_at_20_half_width",
    "p_against_default",
    *QUALITY,
)

_TAIL = 0.975


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Return two rows per dataset and arm: means over seeds at the last and at the chosen epoch.

    ``ndcg_at_20_half_width`` is half of the 95 % interval over seeds (Student's t);
    ``p_against_default`` the two-sided p-value of a t-test of NDCG@20 against the default arm,
    paired by seed where both have the same seeds.
    """
    return [
        _summary(dataset, arm, at, runs, _runs(rows, dataset, DEFAULT_ARM))
        for dataset, arm, runs in _groups(rows)
        for at in ("final", "selected")
    ]


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, str, list[Row]]]:
    names = dict.fromkeys((r["dataset"], r["arm"]) for r in rows if r["kind"] == "run")
    return ((dataset, arm, _runs(rows, dataset, arm)) for dataset, arm in names)


def _runs(rows: Sequence[Row], dataset: str, arm: str) -> list[Row]:
    return [
        row
        for row in rows
        if row["kind"] == "run" and row["dataset"] == dataset and row["arm"] == arm
    ]


def _summary(dataset: str, arm: str, at: str, runs: list[Row], default: list[Row]) -> Row:
    row: Row = {
        "dataset": dataset,
        "arm": arm,
        "at": at,
        "epoch": runs[0]["curve"][-1]["epoch"] if at == "final" else runs[0]["selected_epoch"],
        "seeds": len(runs),
    }
    row |= {name: fmean(run[at][name] for run in runs) for name in METRICS}
    row |= {
        name: fmean(run[name] for run in runs) for name in QUALITY if all(name in r for r in runs)
    }
    own = {run["seed"]: run[at]["ndcg_at_20"] for run in runs}
    row["ndcg_at_20_half_width"] = half_width(list(own.values()))
    other = {run["seed"]: run[at]["ndcg_at_20"] for run in default}
    row["p_against_default"] = None if arm == DEFAULT_ARM else p_value(own, other)
    return row


def half_width(values: Sequence[float]) -> float | None:
    """Return half of the 95 % interval of the mean; None for a single value.

    Example:
        >>> round(half_width([0.40, 0.42]), 3)
        0.127
    """
    if len(values) < 2:
        return None
    return float(stats.t.ppf(_TAIL, len(values) - 1) * stdev(values) / math.sqrt(len(values)))


def p_value(own: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """Return the two-sided p-value of a paired t-test over the seeds that both have.

    A single value, of a method without chance, is compared with all of the other's.

    Example:
        >>> round(p_value({0: 0.40, 1: 0.41, 2: 0.42}, {0: 0.43, 1: 0.45, 2: 0.44}), 3)
        0.035
    """
    if len(own) == 1 and len(other) > 1:
        return _finite(stats.ttest_1samp(list(other.values()), next(iter(own.values()))))
    common = sorted(own.keys() & other.keys())
    if len(common) < 2:
        return None
    return _finite(stats.ttest_rel([own[s] for s in common], [other[s] for s in common]))


def _finite(test: Any) -> float | None:
    value = float(test.pvalue)
    return None if math.isnan(value) else value  # equal samples have no p-value


def bns_targets(summary: Sequence[Row], rows: Sequence[Row] = ()) -> list[Target]:
    """Compare with what was asked for; what was not run misses its target."""
    figures = {(r["dataset"], r["arm"], r["at"]): r for r in summary}

    def value(arm: str, name: str, at: str = "final", dataset: str = "ml-100k") -> float | None:
        found = figures.get((dataset, arm, at))
        return None if found is None else found.get(name)

    def minus(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one - other

    n20, p5 = "ndcg_at_20", "precision_at_5"
    best = max(
        (row for row in summary if row["dataset"] == "ml-100k" and _is_stronger(row["arm"])),
        key=lambda row: row[n20] if row["at"] == "selected" else 0.0,
        default=None,
    )
    looks = [row for row in rows if row["kind"] == "separation"]
    last = looks[-1] if looks else {}
    default, default_best = value(DEFAULT_ARM, n20), value(DEFAULT_ARM, n20, "selected")
    kept = None if not default or not default_best else default / default_best
    return [
        Target.of("ml-100k: released BNS, last epoch, NDCG@20", value("bns", n20), ">=", 0.41),
        Target.of("ml-100k: released BNS, last epoch, P@5", value("bns", p5), ">=", 0.405),
        Target.of(
            "ml-100k: released BNS minus DNS(5), last epoch, NDCG@20",
            minus(value("bns", n20), value("dns-5", n20)),
            ">",
            0.0,
        ),
        Target.of("ml-100k: oracle prior, NDCG@20", value("oracle-5", n20), ">=", 0.5),
        Target.of("ml-100k: oracle prior, TNR", value("oracle-5", "tnr"), ">=", 0.999),
        Target.of(
            "ml-100k: TNR of uniform minus BNS",
            minus(value("rns", "tnr"), value("bns", "tnr")),
            ">",
            0,
        ),
        Target.of(
            "ml-100k: TNR of BNS minus DNS(5)",
            minus(value("bns", "tnr"), value("dns-5", "tnr")),
            ">",
            0,
        ),
        Target.of("ml-100k: calibrated prior, last epoch, NDCG@20", default, ">=", 0.44),
        Target.of("ml-100k: calibrated prior, last epoch, P@5", value(DEFAULT_ARM, p5), ">=", 0.44),
        Target.of("ml-100k: calibrated prior, TNR", value(DEFAULT_ARM, "tnr"), ">=", 0.94),
        Target.of("ml-100k: calibrated prior, last over selected epoch, NDCG@20", kept, ">=", 0.99),
        Target.of(
            "ml-100k: calibrated prior on a stronger backbone, chosen on validation, NDCG@20",
            None if best is None else best[n20],
            ">",
            0.449,
        ),
        Target.of("posterior: largest error in a simulation", posterior_error(), "<", 0.01),
        Target.of(
            "ml-100k: area under the curve of 1 - unbias minus that of the score alone",
            minus(last.get("unbias_auc_item_item"), last.get("score_auc")),
            ">",
            0.0,
        ),
        Target.of(
            "yahoo-r3: calibrated prior, last epoch, NDCG@20",
            value(DEFAULT_ARM, n20, dataset="yahoo-r3"),
            ">=",
            0.2,
        ),
    ]


def _is_stronger(arm: str) -> bool:
    return arm != DEFAULT_ARM and arm.endswith(DEFAULT_ARM) and arm in ARMS
