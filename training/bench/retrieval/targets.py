"""What the retrieval bench has to show, read from its test rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.bench.form import Row, Target
from training.bench.retrieval.choose import EQUAL, coverage_tag, share_tag
from training.bench.retrieval.presets import RetrievalPreset

__all__ = ["best_of", "recommended", "retrieval_targets"]

WALKS = (
    "walk_proxy",
    "walk_proxy_int8",
    "walk_proxy_hnsw",
    "walk_entries",
    "walk_proxy_pruned",
    "walk_entries_pruned",
)
RIVALS = {"proxy_scan": 0, "proxy_walk": 0, "proxy_scan_int8": 1, "two_stage": 2}
"""Name to the ``seed_search`` with which the walk's own retriever does the same."""

_WITH_INDEX = ("two_stage", "walk_proxy_hnsw")
_WORTH_AN_INDEX = 1.1
"""An HNSW index beside the graph is memory, and minutes at every start: it has to be this much faster."""


def retrieval_targets(preset: RetrievalPreset, rows: Sequence[Row]) -> Iterator[Target]:
    """Yield every figure that was asked for; each point was chosen on validation."""
    test = [row for row in rows if row.get("part") == "test"]
    for system, k, share, least in preset.shares:
        row = _tagged(test, system, k, share_tag(share))
        value = _value(row, f"coverage_at_{k}")
        yield Target.of(f"{system}: coverage@{k}, {share:.1%} scored", value, ">=", least)
        scored = _value(row, "scored_ratio")
        yield Target.of(f"{system}: scored for coverage@{k}", scored, "<=", share)
    for system, speedup in preset.speedups.items():
        value = _value(best_of(test, [system]), "speedup_vs_exhaustive")
        yield Target.of(f"{system}: times the QPS of exhaustive", value, ">=", speedup)
    yield from _against_rivals(test)
    yield from _limits(preset, rows, test)


def best_of(rows: Sequence[Row], systems: Sequence[str]) -> Row | None:
    """Return the fastest row of some systems that holds the compared coverage.

    Points were chosen on validation, for several coverages; one that falls below on these rows is no
    answer to the same question, however fast.
    """
    known = [
        row
        for row in rows
        if row["system"] in systems and row["k"] == 200 and row["coverage_at_200"] >= EQUAL
    ]
    return max(known, key=lambda row: row["qps_1core"], default=None)


def recommended(rows: Sequence[Row]) -> list[Row]:
    """Return the settings with which mode ``auto`` is fastest at the compared coverage.

    Returns:
        One row: the system, and what ``vizsla index configure --search`` takes; nothing where no
        system reaches the coverage.
    """
    test = [row for row in rows if row.get("part") == "test"]
    best = _worth_its_memory(test)
    if best is None:
        return []
    search = dict(best["search"])
    if best["system"] in RIVALS:
        # an HNSW index searches as wide as the beam, and finds less with a narrower one
        wide = {"beam_width": search["beam_width"]} if best["system"] == "two_stage" else {}
        search = {"auto_rescores": search["proxy_seeds"], "seed_search": RIVALS[best["system"]]}
        search |= wide
    if best["system"] == "proxy_scan":
        search["proxy_scan_below"] = best["n_items"]
    return [{"system": best["system"], "point": best["point"], "search": search}]


def _worth_its_memory(test: Sequence[Row]) -> Row | None:
    """Return the fastest system, or the fastest without a second index where that hardly costs time."""
    best = best_of(test, (*WALKS, *RIVALS))
    plain = best_of(test, [name for name in (*WALKS, *RIVALS) if name not in _WITH_INDEX])
    if best is None or plain is None:
        return best
    return best if best["qps_1core"] > _WORTH_AN_INDEX * plain["qps_1core"] else plain


def _against_rivals(test: Sequence[Row]) -> Iterator[Target]:
    walk = best_of(test, WALKS)
    for system in (name for name in RIVALS if any(row["system"] == name for row in test)):
        rival = best_of(test, [system])
        if rival is None:  # it reaches the coverage nowhere, so there is nothing to compare with
            continue
        value = None if walk is None else walk["qps_1core"] / rival["qps_1core"]
        name = f"best walk over {system}, QPS at coverage@200 of {EQUAL:g}"
        yield Target.of(name, value, ">=", 1.0)


def _limits(preset: RetrievalPreset, rows: Sequence[Row], test: Sequence[Row]) -> Iterator[Target]:
    walk = _tagged(test, "walk_proxy", 200, coverage_tag(EQUAL))
    if preset.gemm_efficiency is not None:
        value = _value(walk, "gemm_efficiency_ratio")
        yield Target.of("walk_proxy: gemm efficiency", value, ">=", preset.gemm_efficiency)
    if preset.build_s is not None:
        built = [row["build_s"] for row in rows if row["step"] == "build"]
        yield Target.of("graph build, s", built[0] if built else None, "<=", preset.build_s)


def _value(row: Row | None, column: str) -> float | None:
    return None if row is None else row[column]


def _tagged(rows: Sequence[Row], system: str, k: int, tag: str) -> Row | None:
    for row in rows:
        if (row["system"], row["k"]) == (system, k) and tag in row.get("chosen_for", ()):
            return row
    return None
