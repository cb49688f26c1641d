"""Deviations and explored scores from a stored posterior."""

import numpy as np
import pytest

from vizsla.errors import IncompatibleArtifactError
from vizsla.models.ranker.uncertainty import Uncertainty

HIDDEN = np.array([[3.0], [0.0], [0.0]])
CODES = np.array([0, 1, 1], np.int32)


def posterior():
    """One hidden unit with weight deviation 2, bias deviation 1, items with variance 0 and 9."""
    return Uncertainty(np.float32([[2, 0], [0, 1]]), np.float32([0, 9]))


def test_deviations_by_hand():
    """sqrt(3^2 2^2 + 1) for the known item, sqrt(1 + 9) for the other."""
    assert posterior().std(HIDDEN, CODES) == pytest.approx(np.sqrt([37, 10, 10]))


def test_upper_bounds_add_deviations_to_logits():
    upper = posterior().upper(np.array([1.0, 2.0, 3.0]), HIDDEN, CODES, 0.5)

    assert upper == pytest.approx(np.array([1, 2, 3]) + np.sqrt([37, 10, 10]) / 2)


def test_draws_have_the_posteriors_mean_and_covariance():
    """Rows of one request share a model: the same item gets the same shift."""
    generator = np.random.default_rng(0)
    logits = np.array([1.0, 2.0, 2.0])
    draws = np.stack([posterior().draw(logits, HIDDEN, CODES, generator) for _ in range(6_000)])

    assert draws.mean(axis=0) == pytest.approx(logits, abs=0.3)
    assert np.cov(draws.T) == pytest.approx(
        np.array([[37, 1, 1], [1, 10, 10], [1, 10, 10]]), rel=0.1, abs=0.6
    )
    assert np.array_equal(draws[:, 1], draws[:, 2])


def test_a_posterior_survives_storage():
    first = posterior()
    again = Uncertainty.from_arrays(first.arrays(), n_hidden=1, n_codes=2)

    assert np.array_equal(again.std(HIDDEN, CODES), first.std(HIDDEN, CODES))


@pytest.mark.parametrize(
    ("sizes", "variance"), [((2, 2), 9), ((1, 3), 9), ((1, 2), -1), ((1, 2), np.nan)]
)
def test_a_posterior_of_another_ranker_is_refused(sizes, variance):
    arrays = Uncertainty(np.ones((2, 2), np.float32), np.float32([0, variance])).arrays()

    with pytest.raises(IncompatibleArtifactError, match="uncertainty"):
        Uncertainty.from_arrays(arrays, n_hidden=sizes[0], n_codes=sizes[1])
