"""A crude scorer of real rows, too sure of itself, is mended on validation and judged on test."""

import numpy as np
import polars as pl
import pytest

from training.ctr.calibration import choose
from training.ctr.calibration.report import HeldOut, judge
from vizsla.datasets.frames import fetch_frame, read_frame
from vizsla.models.ranker.calibration import to_logits

pytestmark = [pytest.mark.data, pytest.mark.slow]


def naive_bayes(frame, split):
    """Add the log-odds of user, item and year as if they said different things."""
    train = frame.table("train", ["label", *FIELDS])
    rows, mean = frame.table(split, ["label", *FIELDS]), train["label"].mean()
    logits = np.zeros(rows.height)
    for name in FIELDS:
        rates = train.group_by(name).agg((pl.col("label").sum() + mean) / (pl.len() + 1))
        found = rows.join(rates, on=name, how="left", maintain_order="left", nulls_equal=True)
        logits += to_logits(found["label_right"].fill_null(mean).to_numpy())
    return logits - (len(FIELDS) - 1) * to_logits(np.array([mean])), rows["label"].to_numpy()


FIELDS = ("user_id", "item_id", "release_year")


def test_a_crude_scorer_is_mended_on_rows_that_nothing_was_fitted_on(data_dir, tmp_path):
    """The debiased error falls by more than half, and the loss falls too."""
    frame = read_frame(fetch_frame("ml-100k-ctr", tmp_path, data_dir / "ml-100k"))
    chosen = choose(*naive_bayes(frame, "valid"))
    logits, labels = naive_bayes(frame, "test")
    report = judge(HeldOut("ml-100k-ctr", "test", logits, labels), chosen.calibration)

    assert chosen.calibration.curve.type != "identity"
    assert report.log_loss < report.log_loss_raw
    assert report.calibrated.ece_debiased < report.raw.ece_debiased / 2
    assert report.auc > 0.7
