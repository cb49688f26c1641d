"""Learning-rate schedules by hand."""

import pytest

from training.schedules import learning_rate_factor


def factors(schedule, warmup=0.0, n_steps=4, final=0.0):
    return [learning_rate_factor(s, n_steps, schedule, warmup, final) for s in range(n_steps)]


def test_constant():
    """Nothing moves."""
    assert factors("constant") == [1.0] * 4


def test_linear_falls_to_the_end():
    """A quarter less each step of four."""
    assert factors("linear") == pytest.approx([1.0, 3 / 4, 2 / 4, 1 / 4])


def test_cosine_is_at_half_in_the_middle():
    """Half a cosine from 1 to 0."""
    assert factors("cosine")[2] == pytest.approx(1 / 2)


def test_warm_up_rises_first():
    """Half of the steps rise, then the schedule begins at the peak."""
    assert factors("linear", warmup=0.5) == pytest.approx([1 / 2, 1.0, 1.0, 1 / 2])


def test_the_end_is_the_final_ratio():
    """A schedule never falls below its final ratio."""
    assert learning_rate_factor(99, 10, "cosine", 0.0, 0.1) == pytest.approx(0.1)
