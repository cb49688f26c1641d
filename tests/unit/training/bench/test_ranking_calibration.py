"""The calibration bench judges what was exported as ``vizsla evaluate`` does, and says where it falls short."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from training.bench.ranking.calibration import calibration_targets, summarise
from training.bench.ranking.calibration_job import CalibrationJob, cut_frame
from training.bench.ranking.calibration_plot import plot_gaps
from training.ctr.calibration.exported import evaluate_ranker
from vizsla.bundles.ranker import read_ranker
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import FrameDraft, read_frame, write_frame

RATES = {"phone": 0.7, "tablet": 0.3}


def table(n_rows, seed):
    rng = np.random.default_rng(seed)
    devices = rng.choice(list(RATES), n_rows)
    return pl.DataFrame(
        {
            "label": (rng.random(n_rows) < [RATES[one] for one in devices]).astype(np.float32),
            "item_id": [f"i{one}" for one in np.minimum(rng.geometric(0.2, n_rows), 20)],
            "device": devices,
        }
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A frame whose rates are known."""
    folder = tmp_path_factory.mktemp("home")
    manifest = TrainingFrame(
        name="shop",
        source="made here",
        licence="none",
        label_rule="click",
        fields=[FieldSpec(name="item_id", owner="item"), FieldSpec(name="device")],
        splits={},
        content_hash="",
    )
    rows = [(split, table(n, n)) for split, n in (("train", 3000), ("valid", 1200), ("test", 2000))]
    write_frame(folder / "data" / "shop", FrameDraft(manifest, rows))
    return folder


def job(home, **changes):
    options = {"frame": "shop", "arm": "lr", "model": "lr", "seed": 0, "segments": ("device",)}
    return CalibrationJob(
        **{"home": home, "work": home / "work", "with_bins": True} | options | changes
    )


@pytest.fixture(scope="module")
def whole(home):
    return job(home)()[0]


@pytest.fixture(scope="module")
def thinned(home):
    return job(home, arm="thinned", negative_ratio=0.2)()[0]


def test_the_figures_are_those_of_the_evaluation(home, whole):
    """The same ranker, rows and resamples."""
    exported = read_ranker(home / "work" / "shop-lr-0" / "ranker")
    report = evaluate_ranker(exported, read_frame(home / "data" / "shop"), "test", ["device"])

    assert whole["ece_raw"] == report.raw.ece_debiased
    assert whole["ece_served"] == whole["ece_curve"] == report.calibrated.ece_debiased
    assert whole["log_loss_served"] == pytest.approx(report.log_loss)
    judged = [one for one in report.segments if one.field == "device"]
    assert [one["z"] for one in whole["segments"][: len(judged)]] == [
        round(one.z, 6) for one in judged
    ]


def test_the_correction_brings_the_error_of_dropped_negatives_back(thinned):
    """Judged on all negatives: far off after the curve, right as served."""
    assert thinned["negative_ratio"] == 0.2
    assert thinned["ece_curve"] > 0.2
    assert thinned["ece_served"] < 0.06


def test_a_share_of_the_negatives_stays_and_every_positive(home):
    """In every split; the manifest says so."""
    frame = read_frame(home / "data" / "shop")
    draft = cut_frame(frame, 0.2, 0, seed=1)
    kept = {split: rows["label"] for split, rows in draft.rows}
    labels = frame.table("train")["label"]

    assert draft.manifest.negative_ratio == 0.2
    assert kept["train"].sum() == labels.sum()
    share = (kept["train"] == 0).sum() / (labels == 0).sum()
    assert share == pytest.approx(0.2, abs=0.05)


def test_cold_items_are_judged_apart(home, whole):
    """Rows of items with fewer than 10 training rows."""
    frame = read_frame(home / "data" / "shop")
    counts = dict(frame.table("train")["item_id"].value_counts().iter_rows())
    cold = sum(counts.get(one, 0) < 10 for one in frame.table("test")["item_id"])

    assert whole["cold_rows"] == cold


def test_items_are_as_cold_as_the_rows_that_were_trained_on(home, whole, thinned):
    """Dropped negatives showed the model nothing."""
    seen = read_frame(home / "work" / "shop-0.2-0-0").table("train")["item_id"]
    counts = dict(seen.value_counts().iter_rows())
    test = read_frame(home / "data" / "shop").table("test")["item_id"]

    assert thinned["cold_rows"] == sum(counts.get(one, 0) < 10 for one in test)
    assert thinned["cold_rows"] > whole["cold_rows"]


def test_a_bound_is_asked_where_test_has_enough_rows(whole):
    """Of the worst seed; 2,000 rows are too few."""
    rows = [
        whole | {"n_rows": 60_000, "ece_served": ece, "seed": n}
        for n, ece in enumerate((0.002, 0.02))
    ]
    (target,) = calibration_targets(rows)

    assert (target.value, target.op, target.target, target.met) == (0.02, "<", 0.01, False)
    assert list(calibration_targets([whole])) == []


def test_seeds_are_averaged_and_the_worst_segment_named(whole):
    """A row per frame and arm."""
    (row,) = summarise([whole, whole | {"seed": 1, "auc": whole["auc"] + 0.02}])

    assert row["n_seeds"] == 2
    assert row["auc"][0] == pytest.approx(whole["auc"] + 0.01)
    assert row["worst_segment"] == whole["worst_segment"]


def test_every_arm_is_a_panel(tmp_path, whole, thinned):
    """And a row without its curve is none."""
    plot_gaps([whole, thinned, {"frame": "shop"}], tmp_path / "gaps.png")

    assert (tmp_path / "gaps.png").read_bytes().startswith(b"\x89PNG")
