"""Fitted curves find what was planted, and the choice between them is made on held-out folds."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from training.ctr.calibration import choose
from training.ctr.calibration.fit import (
    FITTERS,
    fit_beta,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from vizsla.errors import UnknownNameError
from vizsla.models.ranker.calibration import Beta, Calibration, Identity, log_losses, sigmoid

N = 20_000


def drawn(true_logits, seed=0):
    """Labels with these log-odds."""
    return (np.random.default_rng(seed).random(len(true_logits)) < sigmoid(true_logits)) * 1.0


def raw(n=N, seed=1):
    """Logits as a ranker gives them."""
    return np.random.default_rng(seed).normal(-1, 1.5, n)


def test_a_planted_line_is_found():
    """Platt's slope and intercept, and a temperature, within three standard errors."""
    z = raw()
    platt = fit_platt(z, drawn(0.5 * z - 1))
    cooled = fit_temperature(z, drawn(z / 2))

    assert (platt.slope, platt.intercept) == pytest.approx((0.5, -1), abs=0.05)
    assert cooled.temperature == pytest.approx(2, abs=0.1)


def test_planted_slopes_at_both_ends_are_found():
    """Beta's curve is the true one where rows are."""
    z = raw()
    planted = Beta(a=0.5, b=2, intercept=0.3)
    found = fit_beta(z, drawn(planted.logits(z)))

    middle = np.linspace(-3, 1, 5)
    assert found.logits(middle) == pytest.approx(planted.logits(middle), abs=0.15)


def test_isotonic_finds_a_step():
    """A shape that no line has: 10 % below zero, 60 % above."""
    z = raw()
    rate = np.where(z < 0, 0.1, 0.6)
    labels = (np.random.default_rng(0).random(N) < rate) * 1.0
    found = fit_isotonic(z, labels)

    assert sigmoid(found.logits(np.array([-2.0, -0.5, 0.5, 2.0]))) == pytest.approx(
        [0.1, 0.1, 0.6, 0.6], abs=0.03
    )


@pytest.mark.parametrize("kind", FITTERS)
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
def test_separable_reversed_and_constant_labels_give_finite_rising_curves(kind, labels):
    """Scores that separate the labels, scores that are wrong way round, one class."""
    z = np.array([-2.0, -1.0, 1.0, 2.0])
    curve = FITTERS[kind](z, np.array(labels, float))
    fitted = curve.logits(z)

    assert np.isfinite(fitted).all()
    assert (np.diff(fitted) > 0).all()


@pytest.mark.parametrize("kind", FITTERS)
@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(-20, 20, width=32), st.sampled_from([0.0, 1.0])),
        min_size=1,
        max_size=80,
    )
)
def test_any_rows_give_a_curve_that_keeps_their_order(kind, rows):
    """Ties in the raw scores stay ties, all others stay in order."""
    z, labels = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    fitted = FITTERS[kind](z, labels).logits(z)
    order = np.argsort(z, kind="stable")

    assert (np.diff(fitted[order]) >= 0).all()
    clear = np.diff(z[order]) > 1e-6
    assert (np.diff(fitted[order])[clear] > 0).all()


def test_the_simplest_curve_wins_where_nothing_is_wrong():
    """A calibrated model keeps its scores as they are."""
    z = raw()
    chosen = choose(z, drawn(z))

    assert chosen.calibration == Calibration()
    assert [one.kind for one in chosen.candidates] == list(FITTERS)


def test_a_curve_that_is_needed_is_chosen_and_lowers_the_loss_on_new_rows():
    """Too sure by a factor of two: the temperature is enough."""
    z, new = raw(), raw(seed=2)
    chosen = choose(z, drawn(z / 2))
    truth = drawn(new / 2, seed=3)
    gain = log_losses(new, truth) - log_losses(chosen.calibration.logits(new), truth)

    assert chosen.calibration.curve.type == "temperature"
    assert gain.mean() > 0.01


def test_a_bent_shape_is_left_to_isotonic():
    """Where no line and no pair of slopes fits, the knots win."""
    z = raw()
    labels = (np.random.default_rng(0).random(N) < np.where(z < 0, 0.05, 0.6)) * 1.0

    assert choose(z, labels).calibration.curve.type == "isotonic"


@pytest.mark.parametrize("labels", [np.zeros(500), np.ones(500), np.arange(500) < 9])
def test_one_class_in_validation_is_said_and_changes_nothing(labels):
    """There is nothing to fit on, so the raw scores stay."""
    chosen = choose(raw(500), labels * 1.0)

    assert chosen.calibration.curve == Identity()
    assert "not calibrated" in chosen.note


def test_an_unknown_kind_is_named():
    with pytest.raises(UnknownNameError, match="spline"):
        choose(raw(100), np.zeros(100), kinds=("spline",))


def test_choosing_twice_gives_the_same():
    z = raw(2_000)
    labels = drawn(z)

    assert choose(z, labels, seed=5) == choose(z, labels, seed=5)


@pytest.mark.parametrize("kind", FITTERS)
def test_dropped_negatives_are_put_right_after_the_curve(kind):
    """A biased score on a tenth of the negatives: predictions on all impressions have their rate.

    Corrected before the curve, the same fit would answer five times the true rate.
    """
    z = raw(400_000)
    labels = drawn(z - 3)
    generator = np.random.default_rng(7)
    kept = (labels == 1) | (generator.random(len(z)) < 0.1)
    biased = z - 3 - np.log(0.1)  # what a model of the kept rows learns
    curve = FITTERS[kind](biased[kept], labels[kept])
    after = Calibration(curve=curve, negative_ratio=0.1).probabilities(biased)
    refitted = FITTERS[kind](biased[kept] + np.log(0.1), labels[kept])
    before = Calibration(curve=refitted).probabilities(biased + np.log(0.1))

    assert after.sum() == pytest.approx(labels.sum(), rel=0.03)
    assert kind == "identity" or before.sum() > 2 * labels.sum()


def test_the_correction_is_exact_for_any_curve_form():
    """Odds among kept rows are ten times the odds among all, score by score."""
    z = raw(1_000_000)
    labels = drawn(np.sin(3 * z) - 2)  # no monotone truth: the score is a bad one
    kept = (labels == 1) | (np.random.default_rng(7).random(len(z)) < 0.1)
    for low in (-3.0, -1.0, 1.0):
        here = (z >= low) & (z < low + 0.5)
        rate, kept_rate = labels[here].mean(), labels[here & kept].mean()

        assert kept_rate / (kept_rate + (1 - kept_rate) / 0.1) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("kind", FITTERS)
def test_a_weight_of_three_is_three_rows(kind):
    """Every fitter; isotonic bins hold other rows then, so its curve is only close."""
    z = raw(4_000)
    labels, mass = drawn(0.5 * z - 1), np.where(np.arange(4_000) % 2, 3.0, 1.0)
    whole = mass.astype(int)
    weighted = FITTERS[kind](z, labels, mass)
    repeated = FITTERS[kind](np.repeat(z, whole), np.repeat(labels, whole))
    within = 0.4 if kind == "isotonic" else 1e-6

    at = np.linspace(-3, 1, 9)
    assert weighted.logits(at) == pytest.approx(repeated.logits(at), abs=within)


def test_the_curve_keeps_what_weights_have_put_right():
    """Positives that count double: odds are twice those of the rows, whatever the unit."""
    z = raw()
    labels = drawn(z - np.log(2))
    weights = (1 + labels) * 1000

    assert choose(z, labels, weights=weights).calibration == Calibration()
    assert choose(z, labels).calibration != Calibration()
    assert "not calibrated" in choose(z, labels, weights=np.zeros(N)).note
