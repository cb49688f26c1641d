"""What each preset measures and has to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PRESETS", "RetrievalPreset"]

Share = tuple[str, int, float, float]
"""System, k, largest share of scored items, least coverage."""


@dataclass(frozen=True, slots=True)
class RetrievalPreset:
    """Sizes and targets of one preset.

    Attributes:
        n_queries: Test queries, to report; half as many validation queries, to choose by.
        shares: Coverage asked for within a share of scored items.
        speedups: System to the least queries per second over exhaustive scoring, at 0.98 of
            the top 200.
        gemm_efficiency: Least share of the time that matrix products may account for, in
            batches of 8; None where nothing is asked.
        resident_bytes: Type of the item tables to the most resident memory per item, without
            vocabulary and weights.
        build_s: Longest build of the graph; None where nothing is asked.
        filter_queries: Queries of the step ``filters``, each scored against everything once.
        churn_share: Share of the items that the step ``churn`` inserts, and as many are removed; 0
            leaves the step out: it builds two graphs.
        n_shards: Shards of the step ``shards``; 0 leaves it out: it builds a graph for each.
    """

    n_queries: int
    shares: tuple[Share, ...]
    speedups: Mapping[str, float]
    gemm_efficiency: float | None = None
    resident_bytes: Mapping[str, float] = field(default_factory=dict)
    build_s: float | None = None
    filter_queries: int = 20
    churn_share: float = 0.1
    n_shards: int = 4


SMALL_SHARES: tuple[Share, ...] = (
    ("walk_proxy", 200, 0.05, 0.98),
    ("walk_proxy", 50, 0.03, 0.98),
    ("walk_entries", 200, 0.12, 0.97),
    ("walk_entries", 50, 0.09, 0.98),
    ("deep_walk_entries", 200, 0.12, 0.97),
)

PRESETS = {
    "gowalla": RetrievalPreset(400, SMALL_SHARES, {"walk_proxy": 6.0}, gemm_efficiency=0.4),
    "diginetica": RetrievalPreset(400, SMALL_SHARES, {"walk_proxy": 6.0}),
    "million": RetrievalPreset(
        120,
        (
            ("walk_proxy", 200, 0.01, 0.98),
            ("walk_entries", 200, 0.02, 0.97),
            ("walk_proxy", 200, 0.005, 0.98),
        ),
        # seeds by an exact scan, and by a walk under the proxy, which is approximate
        {"walk_proxy_int8": 20.0, "walk_proxy": 40.0},
        resident_bytes={"float32": 1300.0, "bfloat16": 700.0},
        build_s=900.0,
        filter_queries=8,
    ),
    "tiny": RetrievalPreset(24, SMALL_SHARES[:1], {"walk_proxy": 1.0}, filter_queries=4),
    "own": RetrievalPreset(400, (), {}),
}
"""``tiny`` shows on any small bundle that everything works, ``own`` asks for nothing but a winner."""
