"""Rising calibration curves."""

import numpy as np
from hypothesis import given, strategies as st

from training.isotonic import calibrate, pool_adjacent_violators

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(VALUES)
def test_the_result_rises_and_keeps_the_mean(values):
    """Pooling averages, so the weighted mean stays, and no value falls below the one before."""
    array = np.array(values)
    fitted = pool_adjacent_violators(array, np.ones(len(array)))

    assert (np.diff(fitted) >= 0).all()
    assert np.isclose(fitted.mean(), array.mean())


@given(VALUES)
def test_a_rising_sequence_is_left_alone(values):
    """Nothing to repair."""
    array = np.sort(np.array(values))

    assert np.allclose(pool_adjacent_violators(array, np.ones(len(array))), array)


def test_calibration_finds_a_known_curve():
    """Hits with probability score squared: the curve is met within 0.05 where data is dense."""
    generator = np.random.default_rng(0)
    scores = generator.random(200_000).astype(np.float32)
    curve = calibrate(scores, generator.random(len(scores)) < scores**2)
    points = np.array([0.2, 0.5, 0.8], np.float32)

    assert np.abs(curve(points) - points**2).max() < 0.05


def test_constant_scores_give_the_base_rate():
    """One hit in four, and the score says nothing."""
    curve = calibrate(np.zeros(4, np.float32), np.array([True, False, False, False]))

    assert np.allclose(curve(np.array([-1.0, 0.0, 1.0], np.float32)), 1 / 4)
