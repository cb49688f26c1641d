"""Every metric that Vizsla exports: the only place where metric names are written.

Names follow the Prometheus conventions: base units as suffix, ``_total`` for
counters, labels with few values (never a user, an item or a request id).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CATALOGUE", "Kind", "MetricSpec"]

Kind = Literal["counter", "gauge", "histogram"]

LATENCY_BUCKETS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2,
    0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
PART_BUCKETS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
COUNT_BUCKETS = (
    10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0, 1_000_000.0,
)  # fmt: skip
ROUND_BUCKETS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0)
BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric.

    Attributes:
        name: As exported.
        kind: Its Prometheus type.
        unit: ``seconds``, ``bytes``, ``items`` ..., or empty for a plain count.
        help: One sentence for the operator.
        labels: Label names.
        buckets: Upper bounds of a histogram's buckets.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


CATALOGUE: dict[str, MetricSpec] = {
    "requests": MetricSpec(
        "vizsla_requests_total",
        "counter",
        "requests",
        "Requests answered, by route template and HTTP status.",
        ("route", "status"),
    ),
    "request_seconds": MetricSpec(
        "vizsla_request_duration_seconds",
        "histogram",
        "seconds",
        "Time from the first byte of a request to the last byte of its answer.",
        ("route", "status"),
        LATENCY_BUCKETS,
    ),
    "in_flight": MetricSpec(
        "vizsla_requests_in_flight", "gauge", "requests", "Requests being worked on now."
    ),
    "shed": MetricSpec(
        "vizsla_requests_shed_total",
        "counter",
        "requests",
        "Requests refused to protect the others, by reason.",
        ("reason",),
    ),
    "item_changes": MetricSpec(
        "vizsla_item_changes_total",
        "counter",
        "changes",
        "Changes of items read from the log, by what became of them.",
        ("outcome",),
    ),
    "items_live": MetricSpec(
        "vizsla_live_items",
        "gauge",
        "items",
        "Items in the catalogue that is being searched, paused ones included.",
    ),
    "items_unhealed": MetricSpec(
        "vizsla_unhealed_items",
        "gauge",
        "items",
        "Removed items that walks still pass through.",
    ),
    "log_offset": MetricSpec(
        "vizsla_item_log_records",
        "gauge",
        "records",
        "Records of the item log that searches reflect.",
    ),
    "degraded": MetricSpec(
        "vizsla_answers_degraded_total",
        "counter",
        "answers",
        "Answers given with less than was asked for, by the name of the fallback.",
        ("reason",),
    ),
    "cold_starts": MetricSpec(
        "vizsla_cold_starts_total",
        "counter",
        "answers",
        "Answers for users without a usable history, by what stood in for it.",
        ("kind",),
    ),
    "unknown_items": MetricSpec(
        "vizsla_unknown_items_total",
        "counter",
        "items",
        "Item ids in requests that the active bundle does not have.",
    ),
    "ranked_items": MetricSpec(
        "vizsla_rank_items",
        "histogram",
        "items",
        "Items of one request to `/v1/rank`.",
        (),
        COUNT_BUCKETS,
    ),
    "ignored_fields": MetricSpec(
        "vizsla_rank_ignored_fields_total",
        "counter",
        "fields",
        "Fields sent to `/v1/rank` that the ranker does not read, by why: it was not trained with "
        "them (`unknown`), or its search found them to be of no use (`dropped`).",
        ("reason",),
    ),
    "batch_queries": MetricSpec(
        "vizsla_batch_queries",
        "histogram",
        "queries",
        "Queries searched together in one call.",
        (),
        BATCH_BUCKETS,
    ),
    "items_scored": MetricSpec(
        "vizsla_search_scored_items",
        "histogram",
        "items",
        "Items scored by the deep matcher for one query, by search mode.",
        ("mode",),
        COUNT_BUCKETS,
    ),
    "rounds": MetricSpec(
        "vizsla_search_rounds",
        "histogram",
        "rounds",
        "Rounds of the graph walk for one query.",
        (),
        ROUND_BUCKETS,
    ),
    "search_seconds": MetricSpec(
        "vizsla_search_part_seconds",
        "histogram",
        "seconds",
        "Time of one search, by part: state, seed, score, bookkeeping.",
        ("part",),
        PART_BUCKETS,
    ),
    "searches_stopped": MetricSpec(
        "vizsla_searches_stopped_total",
        "counter",
        "queries",
        "Queries searched, by why the search ended.",
        ("reason",),
    ),
    "bundle_info": MetricSpec(
        "vizsla_bundle_info",
        "gauge",
        "",
        "1 for the active bundle: its hash, model and training data.",
        ("content_hash", "model", "dataset", "publishable"),
    ),
    "bundle_items": MetricSpec(
        "vizsla_bundle_items", "gauge", "items", "Items in the active bundle's catalogue."
    ),
    "errors": MetricSpec(
        "vizsla_errors_total",
        "counter",
        "errors",
        "Errors answered to clients, by problem type.",
        ("problem",),
    ),
}
"""Metric by the attribute of ``vizsla.telemetry.metrics.Metrics`` that holds it."""
