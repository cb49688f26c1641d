"""What the rows of ``vizsla bench training --preset bns`` say: means, intervals, significance, targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from scipy import stats

from training.bench.bns_arms import ARMS, DEFAULT_ARM, FAMILY
from training.bench.bns_separation import posterior_error
from training.bench.form import Row, Target
from training.bench.study import seed_estimate

__all__ = [
    "COLUMNS",
    "PRINTED",
    "QUALITY",
    "bns_targets",
    "chosen_variant",
    "stronger_backbone",
    "summarise",
]

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
    "p_against_dns_5",
    "p_against_ease",
    "validation_ndcg_at_20",
    *QUALITY,
)

PRINTED = ("dataset", "arm", "at", "seeds", "precision_at_5", "ndcg_at_20", "tnr", "info")


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Return two rows per dataset and arm: means over seeds at the last and at the chosen epoch.

    ``ndcg_at_20_half_width`` is half of the 95 % interval over seeds (Student's t);
    ``p_against_default``, ``p_against_dns_5`` and ``p_against_ease`` the two-sided p-values of t-tests of NDCG@20,
    paired by seed, corrected by Holm's method for the number of arms in the same column, dataset
    and epoch; over seeds alone: the queries are always the same.
    ``validation_ndcg_at_20`` is the best of the selection run, one seed.  Quality is the mean
    over the whole training.
    """
    chosen = {(r["dataset"], r["arm"]): r for r in rows if r["kind"] == "selection"}
    summary = [
        _summary(dataset, arm, at, runs, rows)
        | {"validation_ndcg_at_20": chosen.get((dataset, arm), {}).get("ndcg_at_20")}
        for dataset, arm, runs in _groups(rows)
        for at in ("final", "selected")
    ]
    _correct(summary)
    return summary


def _correct(summary: Sequence[Row]) -> None:
    """Correct the p-values in place, each family (a column of one dataset and epoch) by itself."""
    for family in dict.fromkeys((row["dataset"], row["at"]) for row in summary):
        rows = [row for row in summary if (row["dataset"], row["at"]) == family]
        for column in RIVALS.values():
            tested = [row for row in rows if row[column] is not None]
            corrected = holm([row[column] for row in tested])
            for row, value in zip(tested, corrected, strict=True):
                row[column] = value


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        worst = max(worst, min(1.0, p_values[at] * (len(p_values) - rank)))
        corrected[at] = worst
    return corrected


def _groups(rows: Sequence[Row]) -> Iterable[tuple[str, str, list[Row]]]:
    names = dict.fromkeys((r["dataset"], r["arm"]) for r in rows if r["kind"] == "run")
    return ((dataset, arm, _runs(rows, dataset, arm)) for dataset, arm in names)


def _runs(rows: Sequence[Row], dataset: str, arm: str) -> list[Row]:
    return [
        row
        for row in rows
        if row["kind"] == "run" and row["dataset"] == dataset and row["arm"] == arm
    ]


def _summary(dataset: str, arm: str, at: str, runs: list[Row], rows: Sequence[Row]) -> Row:
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
    own = _by_seed(runs, at)
    row["ndcg_at_20_half_width"] = half_width(list(own.values()))
    row["best_over_epochs"] = max(_mean_curve(runs))
    for rival, column in RIVALS.items():
        other = _by_seed(_runs(rows, dataset, rival), at)
        pair = (other, own) if ARMS[rival].engine == "baseline" else (own, other)
        certain = "baseline" in (ARMS[arm].engine, ARMS[rival].engine)
        row[column] = None if arm == rival else p_value(*pair, certain=certain)
    return row


RIVALS = {DEFAULT_ARM: "p_against_default", "dns-5": "p_against_dns_5", "ease": "p_against_ease"}

SEPARATORS = {
    "the score": "score_auc",
    "the score's rank within the user": "order_ratio",
    "the prior": "prior_auc_item_item",
}
"""What else tells held-out positives from other unseen items, and its column."""


def _by_seed(runs: Sequence[Row], at: str) -> dict[int, float]:
    return {run["seed"]: run[at]["ndcg_at_20"] for run in runs}


def _mean_curve(runs: Sequence[Row]) -> list[float]:
    """Return the mean NDCG@20 on test after every look: to see decay, never to choose by."""
    curves = [[point["ndcg_at_20"] for point in run["curve"]] for run in runs]
    return [fmean(values) for values in zip(*curves, strict=True)]


def half_width(values: Sequence[float]) -> float | None:
    """Return half of the 95 % interval of the mean; None for a single value.

    Example:
        >>> round(half_width([0.40, 0.42]), 3)
        0.127
    """
    mean, _, high = seed_estimate(values)
    return None if mean is None or high is None else high - mean


def p_value(
    own: Mapping[int, float], other: Mapping[int, float], *, certain: bool = False
) -> float | None:
    """Return the two-sided p-value of a paired t-test over the seeds that both have.

    Args:
        own: Seed to value.
        other: Seed to value.
        certain: Whether ``own`` is the one value of a method without chance, which is compared
            with all of the other's.

    Example:
        >>> round(p_value({0: 0.40, 1: 0.41, 2: 0.42}, {0: 0.43, 1: 0.45, 2: 0.44}), 3)
        0.035
    """
    if certain and own and len(other) > 1:
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

    n20, p5 = "ndcg_at_20", "precision_at_5"
    ease = value("ease", n20)
    stronger = stronger_backbone(rows)
    default, default_best = value(DEFAULT_ARM, n20), value(DEFAULT_ARM, "best_over_epochs")
    kept = None if not default or not default_best else default / default_best
    return [
        Target.of("ml-100k: released BNS, last epoch, NDCG@20", value("bns", n20), ">=", 0.41),
        Target.of("ml-100k: released BNS, last epoch, P@5", value("bns", p5), ">=", 0.405),
        Target.of(
            "ml-100k: released BNS minus DNS(5), last epoch, NDCG@20",
            _difference(value("bns", n20), value("dns-5", n20)),
            ">",
            0.0,
        ),
        *(
            Target.of(
                f"ml-100k: {arm}, batches minus single triples, last epoch, NDCG@20, size",
                None if gap is None else abs(gap),
                "<=",
                0.01,
            )
            for arm in ("rns", "dns-5", "bns")
            for gap in [_difference(value(arm, n20), value(f"reference-{arm}", n20))]
        ),
        Target.of("ml-100k: oracle prior, NDCG@20", value("oracle-5", n20), ">=", 0.5),
        Target.of("ml-100k: oracle prior, TNR", value("oracle-5", "tnr"), ">=", 0.999),
        Target.of(
            "ml-100k: TNR of uniform minus BNS",
            _difference(value("rns", "tnr"), value("bns", "tnr")),
            ">",
            0,
        ),
        Target.of(
            "ml-100k: TNR of BNS minus DNS(5)",
            _difference(value("bns", "tnr"), value("dns-5", "tnr")),
            ">",
            0,
        ),
        Target.of("ml-100k: calibrated prior, last epoch, NDCG@20", default, ">=", 0.44),
        Target.of("ml-100k: calibrated prior, last epoch, P@5", value(DEFAULT_ARM, p5), ">=", 0.44),
        Target.of("ml-100k: calibrated prior, TNR", value(DEFAULT_ARM, "tnr"), ">=", 0.94),
        Target.of(
            "ml-100k: calibrated prior, last look over best look, both on test, NDCG@20",
            kept,
            ">=",
            0.99,
        ),
        *(
            Target.of(
                f"ml-100k: calibrated prior on the backbone chosen on validation minus EASE, {at} "
                "epoch, NDCG@20",
                _difference(value(stronger, n20, at) if stronger else None, ease),
                ">",
                0.0,
            )
            for at in ("final", "selected")
        ),
        Target.of("posterior: largest error in a simulation", posterior_error(), "<", 0.01),
        *_separation_targets(rows),
        Target.of(
            "yahoo-r3: calibrated prior, last epoch, NDCG@20",
            value(DEFAULT_ARM, n20, dataset="yahoo-r3"),
            ">=",
            0.2,
        ),
    ]


def _separation_targets(rows: Sequence[Row]) -> list[Target]:
    """Compare the posterior with what else tells held-out positives from other unseen items."""
    looks = [row for row in rows if row["kind"] == "separation"]
    last = looks[-1] if looks else {}
    return [
        Target.of(
            f"ml-100k: area under the curve of 1 - unbias minus that of {rival} alone, last look",
            _difference(last.get("unbias_auc_item_item"), last.get(column)),
            ">",
            0.0,
        )
        for rival, column in SEPARATORS.items()
    ]


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def stronger_backbone(rows: Sequence[Row]) -> str | None:
    """Return the backbone with the calibrated prior that validation prefers on ml-100k."""
    found = [
        row
        for row in rows
        if row["kind"] == "selection"
        and row["dataset"] == "ml-100k"
        and row["arm"].endswith(f"-{DEFAULT_ARM}")
    ]
    return max(found, key=lambda row: row["ndcg_at_20"])["arm"] if found else None


def chosen_variant(rows: Sequence[Row], dataset: str = "ml-100k") -> str | None:
    """Return the variant of Bayesian sampling that validation prefers on a dataset."""
    found = [
        row
        for row in rows
        if row["kind"] == "selection" and row["dataset"] == dataset and row["arm"] in FAMILY
    ]
    return max(found, key=lambda row: row["ndcg_at_20"])["arm"] if found else None
