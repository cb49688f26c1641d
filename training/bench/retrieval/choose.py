"""Operating points are chosen on validation queries, for a coverage or for a share of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from training.bench.form import Row

__all__ = ["COVERAGES", "EQUAL", "choose", "coverage_tag", "share_tag"]

COVERAGES = (0.95, 0.97, 0.98, 0.99)
"""Coverages for which the cheapest point is taken."""

EQUAL = 0.98
"""Coverage of the top 200 at which systems are compared."""

MARGIN = 0.002
"""Coverage beyond the asked one on validation, so that test does not fall short by chance."""

SLACK = 0.97
"""Part of a share that a point may use on validation, for the same reason."""


def coverage_tag(coverage: float) -> str:
    """Name the choice of the cheapest point of a coverage."""
    return f"coverage >= {coverage:g}"


def share_tag(share: float) -> str:
    """Name the choice of the best point within a share of scores."""
    return f"scored <= {share:g}"


def choose(rows: Sequence[Row], shares: Sequence[float] = ()) -> dict[str, list[str]]:
    """Return the points worth measuring on test, with what each was chosen for.

    Args:
        rows: Validation rows of one system, all its points.
        shares: Shares of the catalogue for which the point of the best coverage is taken.

    Returns:
        Point name to tags; where no point reaches any coverage, the best point, untagged.

    Example:
        >>> row = {"k": 50, "coverage_at_50": 0.985, "scored_ratio": 0.02}
        >>> cheap = {**row, "point": "a", "cpu_ms_per_query_batch_8": 1.0}
        >>> dear = {**row, "point": "b", "cpu_ms_per_query_batch_8": 2.0}
        >>> sorted(choose([cheap, dear])), "coverage >= 0.98" in choose([cheap, dear])["a"]
        (['a'], True)
    """
    chosen: dict[str, list[str]] = {}
    for k in sorted({row["k"] for row in rows}):
        mine = [row for row in rows if row["k"] == k]
        for tag, point in _tagged(mine, f"coverage_at_{k}", shares):
            chosen.setdefault(point, []).append(tag)
        if mine and not any(row["point"] in chosen for row in mine):
            chosen[max(mine, key=lambda row: row[f"coverage_at_{k}"])["point"]] = []
    return chosen


def _tagged(
    rows: Sequence[Row], coverage: str, shares: Sequence[float]
) -> Iterable[tuple[str, str]]:
    for least in COVERAGES:
        enough = [row for row in rows if row[coverage] >= min(least + MARGIN, 1.0)]
        if enough:
            yield coverage_tag(least), _cheapest(enough)["point"]
    for share in shares:
        within = [row for row in rows if row["scored_ratio"] <= SLACK * share]
        if within:
            yield share_tag(share), max(within, key=lambda row: row[coverage])["point"]


def _cheapest(rows: Sequence[Row]) -> Mapping[str, str]:
    return min(rows, key=lambda row: row["cpu_ms_per_query_batch_8"])
