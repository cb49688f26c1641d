"""Metrics: named once, exported as documented, counted by what happened."""

import re

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason
from vizsla.telemetry.catalogue import CATALOGUE
from vizsla.telemetry.metrics import Metrics
from vizsla.testing.bundles import tiny_bundle

UNITS = ("seconds", "bytes", "items", "rounds", "queries", "records", "total", "flight", "info")


def samples(metrics):
    page = metrics.render().decode()
    families = text_string_to_metric_families(page)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def result(mode=Mode.WALK, n_scored=120, n_rounds=3, reason=StopReason.EXHAUSTED):
    work = SearchWork(mode, n_scored, n_rounds, 0, reason, {"state": 500, "score": 2000})
    return SearchResult(np.arange(2), np.zeros(2, np.float32), work)


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_names_follow_the_conventions(spec):
    """Prefix, unit suffix, ``_total`` for counters only, buckets for histograms only."""
    assert re.fullmatch(r"vizsla_[a-z_]+", spec.name)
    assert spec.name.endswith("_total") == (spec.kind == "counter")
    assert spec.name.endswith(UNITS)
    assert bool(spec.buckets) == (spec.kind == "histogram")
    assert list(spec.buckets) == sorted(set(spec.buckets))
    assert spec.help.endswith(".")
    assert not {"user_id", "item_id", "request_id", "path"} & set(spec.labels)


def test_names_are_distinct():
    """No two entries export the same series."""
    assert len({spec.name for spec in CATALOGUE.values()}) == len(CATALOGUE)


def test_the_page_has_exactly_the_catalogue():
    """Every metric is announced from the start, and nothing else is."""
    page = Metrics().render().decode()

    announced = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    assert announced
    assert set(announced) == {(spec.name, spec.kind) for spec in CATALOGUE.values()}


def test_requests():
    """Counted and timed by route and status."""
    metrics = Metrics()
    metrics.observe_request("/v1/retrieve", 200, 0.004)
    metrics.observe_request("/v1/retrieve", 200, 0.2)
    metrics.observe_request("/v1/retrieve", 422, 0.001)
    found = samples(metrics)

    assert found["vizsla_requests_total", "/v1/retrieve", "200"] == 2
    assert found["vizsla_request_duration_seconds_sum", "/v1/retrieve", "200"] == 0.004 + 0.2
    bucket = "vizsla_request_duration_seconds_bucket"
    assert found[bucket, "/v1/retrieve", "0.003", "200"] == 0
    assert found[bucket, "/v1/retrieve", "0.005", "200"] == 1


def test_in_flight_goes_up_and_down_also_when_a_request_fails():
    """A gauge that leaks would shed everything one day."""
    metrics = Metrics()

    @metrics.request_in_flight()
    def fail():
        assert samples(metrics)["vizsla_requests_in_flight",] == 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert samples(metrics)["vizsla_requests_in_flight",] == 0


def test_search_work_is_recorded_per_query_and_time_per_batch():
    """Rounds only where there was a walk; the parts' times once for the whole batch."""
    metrics = Metrics()
    exhaustive = result(Mode.EXHAUSTIVE, 1000, 0, StopReason.COMPLETE)
    metrics.observe_search([result(), result(n_scored=80), exhaustive])
    metrics.observe_search([])
    found = samples(metrics)

    assert found["vizsla_search_scored_items_sum", "walk"] == 120 + 80
    assert found["vizsla_search_scored_items_sum", "exhaustive"] == 1000
    assert found["vizsla_search_rounds_count",] == 2
    assert found["vizsla_search_part_seconds_sum", "score"] == 0.002
    assert found["vizsla_search_part_seconds_count", "score"] == 1
    assert found["vizsla_searches_stopped_total", "complete"] == 1
    assert found["vizsla_batch_queries_sum",] == 3


def test_everything_else_is_counted_under_its_reason():
    """One method per thing that can happen."""
    metrics = Metrics()
    metrics.count_shed("in_flight")
    metrics.count_degraded("deadline")
    metrics.count_cold_start("popular")
    metrics.count_unknown_items(3)
    metrics.count_error("not-found")
    found = samples(metrics)

    assert found["vizsla_requests_shed_total", "in_flight"] == 1
    assert found["vizsla_answers_degraded_total", "deadline"] == 1
    assert found["vizsla_cold_starts_total", "popular"] == 1
    assert found["vizsla_unknown_items_total",] == 3
    assert found["vizsla_errors_total", "not-found"] == 1


def test_only_the_active_bundle_is_shown(tmp_path):
    """After a swap the old one's series is gone."""
    metrics = Metrics()
    for seed in (0, 1):
        bundle = tiny_bundle(tmp_path, seed=seed)
        metrics.show_bundle(bundle.manifest)
    shown = [key for key in samples(metrics) if key[0] == "vizsla_bundle_info"]

    assert len(shown) == 1
    assert bundle.manifest.content_hash[:12] in shown[0]
    assert samples(metrics)["vizsla_bundle_items",] == 40


def test_instances_are_independent():
    """A test's metrics do not see another test's requests."""
    first, second = Metrics(), Metrics()
    first.count_shed("x")

    assert ("vizsla_requests_shed_total", "x") not in samples(second)
