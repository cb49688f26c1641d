"""The serving bench asks all methods the same and compares what they answer; times are not held."""

from __future__ import annotations

import polars as pl
import pytest

from training.bench.ranking.serving import draw_requests, serving_rows, serving_targets
from vizsla.testing.rankers import tiny_ranker, tiny_records


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rankers")
    full = tiny_ranker(folder / "full", "deepfm")
    pruned = tiny_ranker(folder / "pruned", "lr")
    records = [{**one, "label": float(num % 2)} for num, one in enumerate(tiny_records())]
    test = pl.DataFrame(records)
    requests = draw_requests(test, ["item_id", "genre"], n_requests=3, n_candidates=20)
    return serving_rows(full, pruned, requests, test)


def test_every_method_answers_as_the_plain_ranker(rows):
    """In float32 to rounding, narrow to a part of the spread."""
    for row in rows:
        part = 1e-5 if row["storage"] == "float32" else 0.05
        assert row["max_logit_change"] <= part * row["spread"], row


def test_each_ranker_is_served_each_way(rows):
    """Two plain ways, and the three storages."""
    found = {(row["ranker"], row["method"], row["storage"]) for row in rows}

    assert len(rows) == len(found) == 10
    assert {row["auc"] is None for row in rows if row["method"] == "served"} == {False}


def test_narrow_tables_hold_fewer_bytes(rows):
    """And the plain full ranker is what memory is compared with."""
    held = {
        row["storage"]: row["bytes_held"]
        for row in rows
        if (row["ranker"], row["method"]) == ("full", "served")
    }

    assert held["int8"] < held["bfloat16"] < held["float32"]
    assert rows[0]["memory_ratio"] == 1.0


def test_the_targets_are_speed_and_equal_answers(rows):
    """The second does not depend on the machine."""
    speed, equal = serving_targets(rows)

    assert (speed.op, speed.target) == (">=", 3.0)
    assert equal.met
