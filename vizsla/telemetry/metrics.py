"""The metrics of one process, built from the catalogue in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from vizsla.contracts.bundle import Manifest
from vizsla.contracts.index import Mode, SearchResult
from vizsla.telemetry.catalogue import CATALOGUE, MetricSpec

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Media type of what ``Metrics.render`` returns."""

SHORT_HASH = 12


class Metrics:
    """All metrics of the catalogue; callers say what happened, not which series it is.

    Several instances do not disturb each other, so tests and embedded servers make their own.

    Example:
        >>> metrics = Metrics()
        >>> metrics.observe_request("/v1/retrieve", 200, 0.004)
        >>> b'vizsla_requests_total{route="/v1/retrieve",status="200"} 1.0' in metrics.render()
        True
    """

    def __init__(self) -> None:
        # The library's switch is global; nobody reads these series and they double the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._counters = {
            key: Counter(spec.name, spec.help, spec.labels, registry=self.registry)
            for key, spec in _of_kind("counter")
        }
        self._gauges = {
            key: Gauge(spec.name, spec.help, spec.labels, registry=self.registry)
            for key, spec in _of_kind("gauge")
        }
        self._histograms = {
            key: Histogram(
                spec.name, spec.help, spec.labels, registry=self.registry, buckets=spec.buckets
            )
            for key, spec in _of_kind("histogram")
        }

    def render(self) -> bytes:
        """Return the Prometheus text page; its media type is ``CONTENT_TYPE``."""
        return generate_latest(self.registry)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` is the template, never the path itself."""
        self._counters["requests"].labels(route, status).inc()
        self._histograms["request_seconds"].labels(route, status).observe(seconds)

    @contextmanager
    def request_in_flight(self) -> Iterator[None]:
        """Count a request as being worked on while the block runs."""
        with self._gauges["in_flight"].track_inprogress():
            yield

    def observe_search(self, results: list[SearchResult]) -> None:
        """Record what one batched search cost; a part's time is recorded once for the batch."""
        self._histograms["batch_queries"].observe(len(results))
        for result in results:
            work = result.work
            self._histograms["items_scored"].labels(work.mode).observe(work.n_scored)
            self._counters["searches_stopped"].labels(work.stopped_by).inc()
            if work.mode is Mode.WALK:
                self._histograms["rounds"].observe(work.n_rounds)
        for part, micros in (results[0].work.parts_us if results else {}).items():
            self._histograms["search_seconds"].labels(part).observe(micros / 1e6)

    def count_shed(self, reason: str) -> None:
        """Count a request that was refused to protect the others."""
        self._counters["shed"].labels(reason).inc()

    def count_degraded(self, reason: str) -> None:
        """Count an answer that was given with less; ``reason`` names the fallback."""
        self._counters["degraded"].labels(reason).inc()

    def count_cold_start(self, kind: str) -> None:
        """Count an answer without a usable history; ``kind`` says what stood in for it."""
        self._counters["cold_starts"].labels(kind).inc()

    def count_unknown_items(self, n_items: int) -> None:
        """Count item ids of requests that the bundle does not have."""
        self._counters["unknown_items"].inc(n_items)

    def count_ranked(self, n_items: int) -> None:
        """Count the items of one request to ``/v1/rank``."""
        self._histograms["ranked_items"].observe(n_items)

    def count_ignored_fields(self, reason: str, n_fields: int) -> None:
        """Count fields that were sent for nothing; ``reason`` is ``unknown`` or ``dropped``."""
        self._counters["ignored_fields"].labels(reason).inc(n_fields)

    def count_error(self, problem: str) -> None:
        """Count an error answer by its problem type's slug."""
        self._counters["errors"].labels(problem).inc()

    def count_item_changes(self, outcome: str, n_changes: int) -> None:
        """Count changes of items; ``outcome`` is ``applied``, ``repeated`` or ``skipped``."""
        if n_changes:
            self._counters["item_changes"].labels(outcome).inc(n_changes)

    def show_live(self, *, n_items: int, n_unhealed: int, offset: int) -> None:
        """Show the state of a catalogue that changes."""
        self._gauges["items_live"].set(n_items)
        self._gauges["items_unhealed"].set(n_unhealed)
        self._gauges["log_offset"].set(offset)

    def show_bundle(self, manifest: Manifest) -> None:
        """Make this the active bundle."""
        info = self._gauges["bundle_info"]
        info.clear()
        info.labels(
            manifest.content_hash[:SHORT_HASH],
            manifest.model.name,
            manifest.dataset.name,
            str(manifest.publishable).lower(),
        ).set(1)
        self._gauges["bundle_items"].set(manifest.n_items)


def _of_kind(kind: str) -> list[tuple[str, MetricSpec]]:
    return [(key, spec) for key, spec in CATALOGUE.items() if spec.kind == kind]
