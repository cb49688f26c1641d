"""Training at scale, at a small one: what a row holds and what is asked of it; speeds are not held."""

from __future__ import annotations

import pytest

from training.bench.form import BenchFile, new_result
from training.bench.ranking import scale, tables
from training.bench.ranking.peaks import MIB, Peaks
from training.bench.ranking.plan import RankingPlan
from training.bench.ranking.scale import run_scale, scale_targets
from training.bench.ranking.tables import TableJob
from training.provenance import provenance


def test_the_largest_frame_is_what_memory_is_asked_of():
    """In GiB, and rows of tables are none."""
    rows = [
        {"part": "rows", "rows": 10, "peak_rss_mib": 9000},
        {"part": "rows", "rows": 4_000, "peak_rss_mib": 2048},
        {"part": "tables", "rows": 131_072, "peak_rss_mib": 9000},
    ]
    (target,) = scale_targets(rows)

    assert (target.name, target.value, target.met) == (
        "peak memory at 4,000 rows, GiB",
        2.0,
        True,
    )
    assert scale_targets(rows[2:]) == []


@pytest.mark.parametrize(
    ("kind", "numbers"), [("adam", 34), ("sparse_adam", 34), ("rowwise_adagrad", 2)]
)
def test_an_optimiser_keeps_what_the_documentation_says(tmp_path, monkeypatch, kind, numbers):
    """Per row: of 16 columns and a first-order weight, twice each, or a number for each table."""
    monkeypatch.setattr(tables, "N_ROWS", 2048)
    (row,) = TableJob(8_000, kind, 0, tmp_path)()

    assert row["optimizer_mib"] == round(numbers * 4 * 8_000 / MIB, 1)
    assert row["table_mib"] == round(17 * 4 * 8_000 / MIB, 1)
    assert row["rows_per_cpu_s"] > 0


@pytest.mark.slow
def test_frame_and_run_are_gone_when_a_size_is_done(tmp_path, monkeypatch):
    """What is left is its row, and a second call trains nothing."""
    plan = RankingPlan(home=tmp_path, work=tmp_path / "work", max_rows=2_000)
    file = BenchFile(tmp_path / "scale.json", new_result("ranking", "scale", provenance(0), {}))
    monkeypatch.setattr(scale, "_table_jobs", lambda _: ())
    verdict = run_scale(plan, file)
    (row,) = file.result.rows
    again = run_scale(plan, file)

    assert (row["rows"], row["epochs"], row["resumed"]) == (2_000, 2, False)
    assert row["disk_mib"] >= 0
    assert 0 < row["test_auc"] < row["bayes_auc"]
    assert row["peak_rss_mib"] >= row["peak_anonymous_mib"] > 0
    assert list((tmp_path / "work").iterdir()) == []
    assert [target.met for target in verdict.targets] == [True]
    assert again.targets == verdict.targets


def test_peaks_see_files_and_memory(tmp_path):
    """A file that is there at the start or the end is seen at the latest then."""
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with Peaks(tmp_path) as peaks:
        pass

    assert peaks.disk == 1000
    assert peaks.resident >= peaks.anonymous > 0
