"""Figures of probabilities: what a person can work out, and the definitions themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from training.ctr.metrics import (
    auc,
    calibration_ratio,
    cold_start,
    evaluate,
    gauc,
    log_loss,
    normalised_entropy,
)


def test_auc_counts_ties_half():
    """Of 2 x 2 pairs: two in order, one tied, one the wrong way round."""
    labels, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.4, 0.4, 0.6])

    assert auc(labels, scores) == (1 + 1 + 0.5 + 0) / 4


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=60).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows):
    """By going through all pairs."""
    labels = np.array([label for label, _ in rows], np.float32)
    scores = np.array([score for _, score in rows], np.float32)
    differences = scores[labels == 1][:, None] - scores[labels == 0]
    expected = ((differences > 0) + 0.5 * (differences == 0)).mean()

    assert auc(labels, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_auc(label):
    """Undefined figures are left out, the log loss stays."""
    labels, scores = np.full(3, label), np.array([0.2, 0.5, 0.7])

    assert math.isnan(auc(labels, scores))
    assert {"auc", "normalised_entropy"}.isdisjoint(evaluate(labels, scores))
    assert evaluate(labels, scores)["log_loss"] == log_loss(labels, scores)


def test_log_loss_is_the_mean_of_minus_log_p():
    """And a certain mistake costs 16.1, not infinity."""
    labels, scores = np.array([1.0, 0.0]), np.array([0.5, 0.75])

    assert log_loss(labels, scores) == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-7))


def test_normalised_entropy_of_the_mean_is_one():
    """Below it, a model knows more than the rate."""
    labels = np.array([1.0, 0.0, 0.0, 0.0])

    assert normalised_entropy(labels, np.full(4, 0.25)) == pytest.approx(1)
    assert normalised_entropy(labels, np.array([0.7, 0.1, 0.1, 0.1])) < 1


def test_calibration_ratio():
    """Three predicted, two there."""
    ratio = calibration_ratio(np.array([1, 1, 0, 0]), np.array([0.9, 0.9, 0.6, 0.6]))

    assert ratio == pytest.approx(3 / 2)


def test_gauc_weighs_users_by_rows():
    """User 0 has AUC 1 over two rows, user 1 has 0.5 over four, user 2 has one class."""
    users = np.array([0, 1, 1, 0, 1, 1, 2])
    labels = np.array([1.0, 1, 1, 0, 0, 0, 1])
    scores = np.array([0.9, 0.8, 0.1, 0.2, 0.5, 0.5, 0.0])

    assert gauc(labels, scores, users) == pytest.approx((2 * 1 + 4 * 0.5) / 6)


def test_cold_rows_are_those_of_items_seldom_seen():
    """Item 2 has ten training rows, item 3 nine; unknown items are cold whatever training has."""
    training = np.array([2] * 10 + [3] * 9 + [1] * 50)
    items, labels = np.array([2, 3, 3, 1, 9]), np.array([1.0, 1, 0, 0, 1])
    found = cold_start(labels, np.array([0.1, 0.8, 0.2, 0.3, 0.7]), items, training)

    assert found["n_rows"] == 4
    assert found["auc"] == 1
    assert found["calibration_ratio"] == pytest.approx((0.8 + 0.2 + 0.3 + 0.7) / 2)
