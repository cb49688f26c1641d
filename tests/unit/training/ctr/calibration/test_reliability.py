"""Calibration errors: nothing is found where nothing is, and what is planted is found."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from training.ctr.calibration import cold_segments, decile_segments, reliability, segments
from training.ctr.calibration.reliability import wilson
from vizsla.errors import DataError


def perfect(n, seed):
    """Predictions as of a CTR model, and labels that are drawn from them."""
    generator = np.random.default_rng(seed)
    predicted = generator.beta(1, 6, n)
    return predicted, (generator.random(n) < predicted) * 1.0


def test_two_bins_by_hand():
    """Four rows at 0.2 with one positive, four at 0.8 with two."""
    predicted = np.array([0.2] * 4 + [0.8] * 4)
    labels = np.array([1, 0, 0, 0, 1, 1, 0, 0.0])
    found = reliability(predicted, labels, n_bins=2)
    gaps = np.array([0.25 - 0.2, 0.5 - 0.8])
    # sample variance of four labels with one and with two positives, over four rows
    variances = np.array([0.25 * 0.75 / 3, 0.5 * 0.5 / 3])

    assert [(one.n_rows, one.rate) for one in found.bins] == [(4, 0.25), (4, 0.5)]
    assert found.ece == pytest.approx(np.abs(gaps).mean())
    assert found.squared_debiased == pytest.approx((gaps**2 - variances).mean())
    assert found.ratio == pytest.approx(4 / 3)


def test_a_perfect_model_is_within_its_interval_in_nearly_all_samples():
    """A 95 % interval holds at least 34 of 40 samples; without chance nothing is left on average."""
    found = [reliability(*perfect(2_000, seed), n_resamples=150, seed=seed) for seed in range(40)]
    inside = [one.ece_if_perfect.low <= one.ece <= one.ece_if_perfect.high for one in found]
    squares = np.array([one.squared_debiased for one in found])

    assert sum(inside) >= 34
    assert abs(squares.mean()) < 3 * squares.std() / np.sqrt(len(squares))
    assert np.mean([one.ece for one in found]) > 0.005  # the plain one is not zero: that is why


def test_fifty_thousand_rows_of_a_perfect_model_show_less_than_a_hundredth():
    found = reliability(*perfect(50_000, 3), n_resamples=100)

    assert found.ece_debiased < 0.01
    assert found.ece_debiased_if_perfect.high < 0.01
    assert found.p_value > 0.01


@pytest.mark.parametrize(
    "spoil", [lambda p: p * 1.2, lambda p: p**1.2, lambda p: np.clip(p + 0.02, 0, 1)]
)
def test_planted_miscalibration_is_found_at_its_size(spoil):
    """The debiased figure is the true root of mean squares, also with few rows per bin."""
    predicted, labels = perfect(20_000, 5)
    wrong = np.clip(spoil(predicted), 0, 1)
    found = reliability(wrong, labels, n_bins=50, n_resamples=200)
    truth = np.sqrt(np.mean((wrong - predicted) ** 2))

    assert found.p_value < 0.01
    assert found.ece > found.ece_if_perfect.high
    assert found.ece_debiased == pytest.approx(truth, rel=0.3)


def test_the_debiased_figure_does_not_depend_on_the_number_of_bins():
    """The plain one grows with them."""
    predicted, labels = perfect(20_000, 6)
    few, many = (reliability(predicted, labels, n_bins=n, n_resamples=50) for n in (10, 500))

    assert many.ece > 3 * few.ece
    assert abs(many.squared_debiased - few.squared_debiased) < 2e-4


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    n_bins=st.integers(1, 12),
)
def test_equal_predictions_share_a_bin_so_the_order_of_rows_does_not_matter(rows, n_bins):
    """Rows that are sorted by label give what shuffled ones give."""
    predicted, labels = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    order = np.argsort(labels, kind="stable")
    here = reliability(predicted, labels, n_bins=n_bins, n_resamples=5)
    there = reliability(predicted[order], labels[order], n_bins=n_bins, n_resamples=5)

    assert here.ece == pytest.approx(there.ece, abs=1e-12)
    assert here.squared_debiased == pytest.approx(there.squared_debiased, abs=1e-12)
    assert sum(one.n_rows for one in here.bins) == len(rows)
    assert all(0 <= one.low <= one.rate + 1e-9 and one.rate - 1e-9 <= one.high for one in here.bins)


def test_one_class_has_figures_but_no_ratio():
    found = reliability(np.full(10, 0.1), np.zeros(10), n_resamples=20)

    assert found.ratio is None
    assert found.ece == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("predicted", "labels", "words"),
    [
        ([], [], "at least one row"),
        ([0.1, np.nan], [0, 1], "prediction of row 1"),
        ([0.1, 1.5], [0, 1], "prediction of row 1"),
        ([0.1, 0.5], [0, 2], "label of row 1"),
    ],
)
def test_rows_that_cannot_be_judged_are_named(predicted, labels, words):
    with pytest.raises(DataError, match=words):
        reliability(np.array(predicted), np.array(labels))


def test_wilson_by_hand():
    """No positive in ten: 0 to z^2 / (10 + z^2)."""
    low, high = wilson(np.zeros(1), np.full(1, 10.0))

    assert low == 0
    assert high == pytest.approx(3.8415 / 13.8415, rel=1e-4)


def test_a_segment_that_is_off_is_found_and_the_others_are_not():
    """One value in five is predicted at half its rate."""
    predicted, labels = perfect(50_000, 8)
    groups = np.random.default_rng(0).integers(5, size=len(predicted))
    predicted = np.where(groups == 3, predicted / 2, predicted)
    found = segments(predicted, labels, groups, list("abcde"), field="letter")

    assert [one.value for one in found if one.off] == ["d"]
    assert next(one for one in found if one.off).ratio == pytest.approx(0.5, abs=0.05)


def test_few_values_are_wrongly_called_off():
    """Bonferroni: at most some of 20 perfect samples have any of 20 segments off."""
    wrong = 0
    for seed in range(20):
        predicted, labels = perfect(2_000, seed)
        groups = np.arange(2_000) % 20
        found = segments(predicted, labels, groups, [str(n) for n in range(20)], field="x")
        wrong += any(one.off for one in found)

    assert wrong <= 4


def test_rare_values_are_put_together():
    """Twenty largest groups, the rest as one; rows of no group nowhere."""
    groups = np.repeat(np.arange(25), 4)
    groups[:4] = -1
    found = segments(
        np.full(100, 0.5), np.tile([0.0, 1.0], 50), groups, [str(n) for n in range(25)], field="x"
    )

    assert len(found) == 21
    assert (found[-1].value, found[-1].n_rows) == ("(others)", 16)


def test_cold_items_and_deciles_are_in_order():
    """Few impressions first, low scores first; all rows are somewhere."""
    predicted, labels = perfect(2_000, 9)
    impressions = np.arange(2_000) % 150
    cold, tenths = cold_segments(predicted, labels, impressions), decile_segments(predicted, labels)

    assert [one.value for one in cold] == ["0", "1 to 9", "10 to 99", "100 to 999"]
    assert [one.n_rows for one in tenths] == [200] * 10
    assert (np.diff([one.predicted for one in tenths]) > 0).all()
