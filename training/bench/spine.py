"""``vizsla bench spine``: trained bundles against every rival, and their walks, on test data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from training.bench.form import BenchFile, Row, Target
from training.evaluate import EvaluateSettings, evaluate, open_split
from training.evaluation.files import write_evaluation
from training.evaluation.results import Evaluation, Row as SystemRow
from training.plots import plot_curve
from training.provenance import Provenance
from vizsla.bundles import load
from vizsla.datasets import resolve

__all__ = ["ANCHORS", "COLUMNS", "run_spine", "spine_targets"]

COLUMNS = (
    "dataset",
    "system",
    "recall_at_20",
    "ndcg_at_20",
    "lead_recall_low",
    "lead_ndcg_low",
    "coverage_at_50",
    "scored_ratio",
    "catalogue_coverage_ratio",
    "gini",
)

K, COVERAGE_K = 20, 50

MUST_BEAT = ("ml-1m", "gowalla")
"""Here the lower end of the paired interval has to be above zero."""

MUST_NOT_LOSE = ("ml-100k",)
"""943 users cannot separate a point: here the upper end must not be below zero."""

WALKS = {"medoids": 0.12, "proxy": 0.05}
"""Series of the curve to the share of items it may score."""

WALKED = ("gowalla", "diginetica")
LEAST_COVERAGE = 0.97

ANCHORS: Mapping[str, tuple[Row, ...]] = {
    "gowalla": (
        {"system": "published: LightGCN, 3 layers", "recall_at_20": 0.1824, "ndcg_at_20": 0.1547},
    ),
    "ml-1m": (
        {
            "system": "published: SASRec, sampled softmax",
            "hit_rate_at_10": 0.2853,
            "hit_rate_at_50": 0.5474,
        },
    ),
}
"""Figures of others on the same test targets, for orientation: their code, their training data."""


def run_spine(
    bundles: Mapping[str, Path],
    file: BenchFile,
    settings: EvaluateSettings,
    home: Path,
    origin: Provenance,
) -> list[Target]:
    """Evaluate every bundle on test and compare with what was asked for.

    Args:
        bundles: Dataset name to bundle, or to a folder of ``vizsla train``.
        file: Rows are added to it, a dataset at a time; reports and pictures lie beside it.
        settings: Of the evaluation.
        home: Where datasets are.
        origin: Of this run.
    """
    for name, path in bundles.items():
        file.step(name, partial(_dataset, name, path, file, settings, home, origin))
    return list(spine_targets(file.result.rows, list(bundles)))


def spine_targets(rows: Sequence[Row], datasets: Sequence[str]) -> Iterator[Target]:
    """Yield what the spine has to show on these datasets, from the rows of the bench."""
    for dataset in datasets:
        own = [row for row in rows if row["step"] == dataset]
        if dataset in (*MUST_BEAT, *MUST_NOT_LOSE):
            yield from _leads(dataset, own)
        if dataset in WALKED:
            yield from _walks(dataset, own)


def _dataset(
    name: str,
    path: Path,
    file: BenchFile,
    settings: EvaluateSettings,
    home: Path,
    origin: Provenance,
) -> list[Row]:
    bundle = load(path)
    split = open_split(bundle, resolve(name, home))
    found = evaluate(bundle, split, settings, origin)
    write_evaluation(found, file.path.parent / f"{file.path.stem}-{name}")
    if found.curve:
        plot_curve(found, file.path.with_name(f"{file.path.stem}-{name}.png"))
    anchors = [{"dataset": name, "kind": "published", **row} for row in ANCHORS.get(name, ())]
    return [*(_row(name, found, row) for row in found.rows), *_curve_rows(name, found), *anchors]


def _row(dataset: str, found: Evaluation, row: SystemRow) -> Row:
    made: Row = {"dataset": dataset, "system": row.system, "kind": row.kind, **row.settings}
    made |= {"n_queries": found.n_queries, "bundle": found.bundle}
    made |= {name: estimate.mean for name, estimate in row.metrics.items()}
    made |= {name: estimate.mean for name, estimate in row.coverage.items()}
    made |= {
        name: getattr(row, name) for name in ("catalogue_coverage_ratio", "gini", "overlap_ratio")
    }
    for short, name in (("recall", f"recall_at_{K}"), ("ndcg", f"ndcg_at_{K}")):
        made |= {f"{name}_low": row.metrics[name].low, f"{name}_high": row.metrics[name].high}
        if row.difference:
            lead = row.difference[name]
            made |= {f"lead_{short}": lead.mean, f"lead_{short}_low": lead.low}
            made[f"lead_{short}_high"] = lead.high
    if row.work is not None:
        made |= {"scored_ratio": row.work.scored_ratio_mean, "rounds": row.work.rounds_mean}
    return made


def _curve_rows(dataset: str, found: Evaluation) -> list[Row]:
    return [
        {
            "dataset": dataset,
            "system": f"{point.series}, beam {point.beam_width}",
            "kind": "curve",
            "series": point.series,
            f"coverage_at_{found.curve_k}": point.coverage,
            "scored_ratio": point.scored_ratio,
        }
        for point in found.curve
        if point.series != "exhaustive"
    ]


def _leads(dataset: str, rows: Sequence[Row]) -> Iterator[Target]:
    for row in rows:
        if row["kind"] != "rival" or row["system"] == "two_sided_faiss":
            continue
        for short, metric in (("recall", f"recall@{K}"), ("ndcg", f"NDCG@{K}")):
            name = f"{dataset}: {metric}, matcher minus {row['system']}"
            low, high = row[f"lead_{short}_low"], row[f"lead_{short}_high"]
            if dataset in MUST_BEAT:
                yield Target.of(f"{name}, lower end", low, ">", 0.0)
            else:
                yield Target.of(f"{name}, upper end", high, ">=", 0.0)


def _walks(dataset: str, rows: Sequence[Row]) -> Iterator[Target]:
    for series, share in WALKS.items():
        found = [
            row[f"coverage_at_{COVERAGE_K}"]
            for row in rows
            if row.get("series") == series and row["scored_ratio"] <= share
        ]
        name = f"{dataset}: coverage@{COVERAGE_K} of the walk from {series}, {share:.0%} scored"
        yield Target.of(name, max(found, default=None), ">=", LEAST_COVERAGE)
