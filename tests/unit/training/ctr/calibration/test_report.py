"""The report of a ranker's probabilities, from logits to files."""

import numpy as np
import pytest

from training.ctr.calibration import choose
from training.ctr.calibration.report import CalibrationReport, HeldOut, judge, write_calibration
from vizsla.models.ranker.calibration import Calibration, Platt, sigmoid


def rows(seed, n=6_000):
    """Logits that are twice too sure, and labels."""
    generator = np.random.default_rng(seed)
    z = generator.normal(-2, 1.5, n)
    return 2 * z, (generator.random(n) < sigmoid(z)) * 1.0


def test_a_curve_fitted_on_validation_rows_mends_test_rows(tmp_path):
    """The debiased error falls to what chance shows; AUC stays; the files say so."""
    chosen = choose(*rows(0))
    logits, labels = rows(1)
    held = HeldOut(
        "planted",
        "test",
        logits,
        labels,
        impressions=np.arange(len(logits)) % 40,
        groups={"device": (np.arange(len(logits)) % 2, ["phone", "tablet"])},
    )
    report = judge(held, chosen.calibration)
    json, page, picture = write_calibration(tmp_path, report)

    assert report.raw.ece_debiased > 0.05 > report.calibrated.ece_debiased_if_perfect.high
    assert report.calibrated.ece_debiased <= report.calibrated.ece_debiased_if_perfect.high
    assert report.log_loss < report.log_loss_raw
    assert sum(report.histogram) == len(logits)
    assert not any(one.off for one in report.segments)
    assert CalibrationReport.model_validate_json(json.read_text()) == report
    assert all(words in page.read_text() for words in ("device: phone", "impressions: 1 to 9"))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_sampled_rows_are_judged_as_they_are():
    """The correction for dropped negatives is for serving; these rows still miss theirs."""
    held = HeldOut("x", "valid", *rows(2, 500))
    plain, corrected = (
        judge(held, Calibration(curve=Platt(slope=0.5, intercept=0), negative_ratio=ratio))
        for ratio in (1.0, 0.1)
    )

    assert plain.calibrated == corrected.calibrated


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_label_and_one_prediction_have_a_report(tmp_path, label):
    report = judge(HeldOut("x", "test", np.zeros(30), np.full(30, label)), Calibration())
    write_calibration(tmp_path, report)

    assert report.auc is None
    assert "not defined" in (tmp_path / "calibration.md").read_text()
