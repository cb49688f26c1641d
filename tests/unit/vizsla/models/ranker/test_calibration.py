"""Curves from logits to probabilities: they rise, survive JSON and are what they say."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from vizsla.models.ranker.calibration import (
    Beta,
    Calibration,
    Identity,
    Isotonic,
    Platt,
    Temperature,
    log_losses,
    sigmoid,
    to_logits,
)

CURVES = [
    Identity(),
    Temperature(temperature=1000),
    Platt(slope=0.001, intercept=-3),
    Beta(a=0.001, b=0.001, intercept=2),
    Beta(a=2, b=0.5, intercept=-1),
    Isotonic(knots=(0.5,), values=(-2,)),
    Isotonic(knots=(-1, 0, 0.25, 3), values=(-4, -1, -1, -0.999999)),
]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.type)
@settings(deadline=None)
@given(a=st.floats(-30, 30, width=32), b=st.floats(-30, 30, width=32))
def test_a_curve_keeps_the_order_of_logits(curve, a, b):
    """Also where it is flat, for any two logits that a model can tell apart."""
    if abs(a - b) < 1e-6:
        return
    low, high = Calibration(curve=curve, negative_ratio=0.1).logits(np.sort(np.float32([a, b])))

    assert low < high


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.type)
def test_a_calibration_survives_json(curve):
    """What the bundle holds is the whole of it."""
    calibration = Calibration(curve=curve, negative_ratio=0.25)
    raw = np.linspace(-5, 5, 11)
    again = Calibration.model_validate_json(calibration.model_dump_json())

    assert again == calibration
    assert np.array_equal(again.probabilities(raw), calibration.probabilities(raw))


def test_each_curve_by_hand():
    """Values that a person can check."""
    z = np.array([0.0, 2.0])

    assert Temperature(temperature=2).logits(z).tolist() == [0, 1]
    assert Platt(slope=0.5, intercept=1).logits(z).tolist() == [1, 2]
    assert Beta(a=1, b=1, intercept=0).logits(z) == pytest.approx([0, 2])
    assert Beta(a=2, b=1, intercept=0).logits(z[:1]) == pytest.approx([-np.log(2)])
    assert Isotonic(knots=(0, 4), values=(1, 3)).logits(z) == pytest.approx([1, 2], abs=1e-5)


def test_the_correction_for_kept_negatives_by_hand():
    """Half positives where one negative in ten was kept: one positive in eleven."""
    corrected = Calibration(negative_ratio=0.1).probabilities(np.zeros(1))

    assert corrected == pytest.approx([0.5 / (0.5 + 0.5 / 0.1)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "isotonic", "knots": (0, 0), "values": (0, 1)},
        {"type": "isotonic", "knots": (0, 1), "values": (1, 0)},
        {"type": "isotonic", "knots": (0, 1), "values": (1,)},
        {"type": "platt", "slope": -1, "intercept": 0},
        {"type": "temperature", "temperature": 0},
        {"type": "spline"},
    ],
)
def test_a_curve_that_falls_is_refused(wrong):
    """A file that was tampered with cannot turn a ranking round."""
    with pytest.raises(ValidationError):
        Calibration.model_validate({"curve": wrong})


def test_extreme_logits_neither_overflow_nor_vanish():
    """Losses and probabilities stay finite for any float32 logit."""
    extreme = np.float32([-3e38, 3e38])

    assert sigmoid(extreme).tolist() == [0, 1]
    assert np.isfinite(log_losses(extreme, np.array([1.0, 0.0]))).all()
    assert np.isfinite(to_logits(np.array([0.0, 1.0]))).all()
