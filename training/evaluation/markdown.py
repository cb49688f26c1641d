"""An evaluation as a page that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training.evaluation.results import Estimate, Evaluation, Row

__all__ = ["CURVE_FILE", "LABELS", "main_columns", "main_rows", "to_markdown"]

CURVE_FILE = "curve.png"

LABELS = {
    "matcher_exhaustive": "deep matcher, every item scored",
    "walk_medoids": "deep matcher, walk from medoids",
    "walk_proxy": "deep matcher, walk seeded by proxy",
    "two_sided": "own two-sided head, every item",
    "two_sided_faiss": "own two-sided head, faiss HNSW",
    "popularity": "popularity",
    "cooccurrence": "item-item co-occurrence",
    "item_knn": "item-kNN",
    "ease": "EASE",
    "random": "random",
}
"""System to what it is called in tables."""


def to_markdown(evaluation: Evaluation) -> str:
    """Write the whole report; the picture lies beside it as ``curve.png``."""
    parts = [_head(evaluation), _main(evaluation), _all_metrics(evaluation), _lists(evaluation)]
    if any(row.coverage for row in evaluation.rows):
        parts.append(_searches(evaluation))
    if evaluation.curve:
        parts.append(_curve(evaluation))
    if evaluation.notes:
        parts.append("## Left out\n\n" + "\n".join(f"- {note}" for note in evaluation.notes))
    return "\n\n".join(parts) + "\n"


def main_columns(evaluation: Evaluation) -> list[str]:
    """Return the headings of the main table."""
    k = evaluation.list_k
    return ["system", f"recall@{k}", f"NDCG@{k}", "matcher minus this (recall)", "(NDCG)"]


def main_rows(evaluation: Evaluation) -> list[list[str]]:
    """Return the main table: accuracy with intervals, and the matcher's lead."""
    return [_main_row(row, evaluation.list_k) for row in evaluation.rows]


def _main_row(row: Row, k: int) -> list[str]:
    names = (f"recall_at_{k}", f"ndcg_at_{k}")
    return [
        LABELS.get(row.system, row.system),
        *(_estimate(row.metrics[name]) for name in names),
        *(_estimate(row.difference[name], "+") if row.difference else "" for name in names),
    ]


def _head(evaluation: Evaluation) -> str:
    origin = evaluation.provenance
    lines = [
        f"# {evaluation.dataset}: {evaluation.model} on {evaluation.part}",
        "",
        f"- bundle `{evaluation.bundle}`, data `{evaluation.data_hash[:16]}`, "
        f"split `{evaluation.split.get('method', '?')}`",
        f"- {evaluation.n_queries:,} of {evaluation.n_queries_total:,} queries, "
        f"{evaluation.n_items:,} items; candidates: {evaluation.candidates}",
        f"- commit `{origin.commit}`, seed {origin.seed}, {origin.started}, "
        f"{origin.machine['cpu']} ({origin.machine['cores']} cores)",
        f"- `{origin.command}`",
        "",
        "Brackets hold 95 % bootstrap intervals over queries; differences are paired by query.",
    ]
    return "\n".join(lines)


def _main(evaluation: Evaluation) -> str:
    rows = table(main_columns(evaluation), main_rows(evaluation))
    return f"## Accuracy at {evaluation.list_k}\n\n{rows}"


def _all_metrics(evaluation: Evaluation) -> str:
    names = list(evaluation.rows[0].metrics)
    rows = [
        [LABELS.get(row.system, row.system), *(f"{row.metrics[name].mean:.4f}" for name in names)]
        for row in evaluation.rows
    ]
    headings = [
        name.replace("_at_", "@").replace("hit_rate", "hit").replace("ndcg", "NDCG")
        for name in names
    ]
    return "## All metrics\n\n" + table(["system", *headings], rows)


def _lists(evaluation: Evaluation) -> str:
    rows = [
        [
            LABELS.get(row.system, row.system),
            f"{row.catalogue_coverage_ratio:.1%}",
            f"{row.gini:.3f}",
            f"{row.overlap_ratio:.1%}",
            ", ".join(f"{name} {value}" for name, value in row.settings.items()),
        ]
        for row in evaluation.rows
    ]
    headings = ["system", "catalogue listed", "Gini", "shared by two users", "settings"]
    note = (
        "A model that gives everybody the same items lists little of the catalogue, has a Gini "
        "near 1 and a high share in common; it is also easy to search."
    )
    return f"## Shape of the lists at {evaluation.list_k}\n\n{table(headings, rows)}\n\n{note}"


def _searches(evaluation: Evaluation) -> str:
    ks = evaluation.ks
    headings = ["search", "scored, mean", "scored, p95", "rounds", "ms per query"]
    headings += [f"coverage@{k}" for k in ks] + [f"recall delta@{k}" for k in ks]
    rows = [_search_row(row, ks) for row in evaluation.rows if row.work is not None]
    return "## Searches under the matcher\n\n" + table(headings, rows)


def _search_row(row: Row, ks: Sequence[int]) -> list[str]:
    work = row.work
    assert work is not None
    coverage = [row.coverage.get(f"coverage_at_{k}") for k in ks]
    delta = [row.recall_delta.get(f"recall_at_{k}") for k in ks]
    return [
        LABELS.get(row.system, row.system),
        f"{work.scored_ratio_mean:.2%}",
        f"{work.scored_ratio_p95:.2%}",
        f"{work.rounds_mean:.1f}",
        f"{work.ms_per_query:.1f}",
        *("" if value is None else _estimate(value) for value in coverage),
        *("" if value is None else f"{value:+.2%}" for value in delta),
    ]


def _curve(evaluation: Evaluation) -> str:
    k = evaluation.curve_k
    rows = [
        [
            p.series,
            str(p.beam_width),
            f"{p.scored_ratio:.2%}",
            f"{p.coverage:.4f}",
            f"{p.recall:.4f}",
        ]
        for p in evaluation.curve
    ]
    headings = ["series", "beam width (rerank: items)", "scored", f"coverage@{k}", f"recall@{k}"]
    return f"## Coverage and cost\n\n![coverage and cost]({CURVE_FILE})\n\n{table(headings, rows)}"


def _estimate(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.mean:{sign}.4f} [{estimate.low:{sign}.4f}, {estimate.high:{sign}.4f}]"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(table(["arm", "recall"], [["on", "0.17"]]))
        | arm | recall |
        | --- | --- |
        | on | 0.17 |
    """
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
