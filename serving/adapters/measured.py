"""What a finished job tells the metrics."""

from __future__ import annotations

from serving.core.job import Job
from vizsla.contracts.index import SearchResult
from vizsla.telemetry.metrics import Metrics

__all__ = ["measure"]


def measure(metrics: Metrics, job: Job) -> None:
    """Count a job's work, fallbacks, cold starts and unknown items."""
    searched = [
        SearchResult(found.item_nums, found.scores, found.work)
        for found in job.found
        if found.work is not None
    ]
    if searched:
        metrics.observe_search(searched)
    for one in job.degraded:
        metrics.count_degraded(f"{one.stage}:{one.fallback}")
    for visitor in job.visitors:
        if visitor.cold is not None:
            metrics.count_cold_start(visitor.cold.source)
    unknown = [note for v in job.visitors for note in v.warnings if note.code == "unknown_items"]
    if unknown:
        metrics.count_unknown_items(sum(len(note.names) for note in unknown))
