"""Fitted uncertainty covers the truth as often as it claims."""

import numpy as np
import pytest

from training.ctr.calibration.fit import fit_platt
from training.ctr.uncertainty import (
    curvature,
    fit_items,
    fit_last_layer,
    fit_uncertainty,
    judge_spread,
)
from training.ctr.uncertainty.fit import Seen
from vizsla.models.ranker.calibration import Identity, Platt, sigmoid


def fitted_layer(hidden, labels, precision):
    """A logistic regression at its mode under the prior that it was drawn from."""
    features = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
    weights = np.zeros(features.shape[1])
    for _ in range(25):
        p = sigmoid(features @ weights)
        bend = features.T @ (features * (p * (1 - p))[:, None]) + precision * np.eye(len(weights))
        weights -= np.linalg.solve(bend, features.T @ (p - labels) + precision * weights)
    return weights


def test_the_last_layers_deviations_cover_the_true_logits():
    """Thirty true layers, 90 % intervals for new rows: between 85 and 95 % hold the truth."""
    inside = []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        hidden, new = generator.normal(size=(600, 8)), generator.normal(size=(200, 8))
        truth = generator.normal(size=9) * 0.7
        labels = generator.random(600) < sigmoid(hidden @ truth[:-1] + truth[-1])
        weights = fitted_layer(hidden, labels * 1.0, 2.0)
        bend = curvature(hidden, sigmoid(hidden @ weights[:-1] + weights[-1]))
        factor = fit_last_layer(bend, weights)
        ones = np.ones((200, 1))
        std = np.linalg.norm(np.concatenate([new, ones], axis=1) @ factor, axis=1)
        off = np.abs(new @ (weights - truth)[:-1] + (weights - truth)[-1])
        inside.append((off < 1.645 * std).mean())

    assert 0.85 < np.mean(inside) < 0.95


def test_pieces_of_rows_do_not_matter():
    """Training rows are read batch by batch."""
    generator = np.random.default_rng(0)
    seen = Seen(
        generator.normal(size=100),
        np.zeros(100),
        generator.normal(size=(100, 3)),
        generator.integers(5, size=100).astype(np.int32),
    )
    fields = ("logits", "labels", "hidden", "items")
    pieces = [
        Seen(*(getattr(seen, one)[rows] for one in fields)) for rows in (slice(7), slice(7, 100))
    ]
    whole = fit_uncertainty([seen], seen, np.ones(4), Identity(), 5)
    again = fit_uncertainty(pieces, seen, np.ones(4), Identity(), 5)

    assert again.factor @ again.factor.T == pytest.approx(whole.factor @ whole.factor.T, abs=1e-6)
    assert again.item_variance == pytest.approx(whole.item_variance)


def test_codes_of_no_single_item_are_as_uncertain_as_a_new_item():
    """Rare items share the code UNKNOWN: their rows together do not make a new item known."""
    items = np.repeat(np.array([1, 2], np.int32), 500)
    seen = Seen(np.zeros(1000), np.arange(1000) % 2, np.ones((1000, 1)), items)
    variance = fit_uncertainty([seen], seen, np.ones(2), Identity(), 4).item_variance

    assert variance[1] == variance[3] > variance[2]


def items_that_differ(seed, n_items=4_000):
    """Validation rows of items whose logits lie N(0, 1 / (2 + information)) off."""
    generator = np.random.default_rng(seed)
    information = generator.choice([0.0, 2.0, 20.0], n_items)
    off = generator.normal(size=n_items) / np.sqrt(2 + information)
    items = generator.integers(n_items, size=60_000).astype(np.int32)
    z = generator.normal(-1, 1, len(items))
    labels = (generator.random(len(items)) < sigmoid(z + off[items])) * 1.0
    # what a model that knows the mean of all items would say
    return fit_platt(z, labels).logits(z), labels, items, information


def test_planted_variances_of_items_are_found():
    """New items vary most, known ones as much less as their rows tell."""
    z, labels, items, information = items_that_differ(0)
    prior = fit_items(sigmoid(z), labels, items, information)

    assert prior.variance(np.array([0.0, 2.0, 20.0])) == pytest.approx(
        [1 / 2, 1 / 4, 1 / 22], rel=0.3
    )


def test_items_that_do_not_differ_have_no_variance():
    generator = np.random.default_rng(0)
    p = generator.beta(2, 5, 20_000)
    items = generator.integers(500, size=20_000).astype(np.int32)
    prior = fit_items(p, (generator.random(20_000) < p) * 1.0, items, np.full(500, 3.0))

    assert prior.variance(np.array([3.0])) < 0.02


def test_the_whole_is_right_on_new_rows_and_larger_for_cold_items():
    """Claimed and seen deviations agree within three standard errors, in every group."""
    z, labels, items, information = items_that_differ(1)
    valid, test = np.arange(30_000), np.arange(30_000, 60_000)
    impressions = np.array([0, 9, 90])[np.searchsorted([1.0, 10.0], information)]
    train_items = np.repeat(np.arange(len(information), dtype=np.int32), impressions)
    # p (1 - p) of 0.2222 nine or ninety times gives information of 2 and 20
    train = Seen(
        np.full(len(train_items), np.log(2.0)),
        np.zeros(len(train_items)),
        np.ones((len(train_items), 1)),
        train_items,
    )
    held = Seen(z[valid], labels[valid], np.ones((len(valid), 1)), items[valid])
    found = fit_uncertainty([train], held, np.array([0.5, 0.5]), Identity(), len(information))
    std = found.std(np.ones((len(test), 1)), items[test])
    groups = judge_spread(sigmoid(z[test]), labels[test], items[test], std, impressions)

    assert [one.impressions for one in groups] == ["0", "1 to 9", "10 to 99"]
    assert all(abs(one.z2 - 1) < 3 * one.z2_error for one in groups)
    assert groups[0].std_mean > groups[1].std_mean > groups[2].std_mean
    assert groups[0].z2_without > 1 + 3 * groups[0].z2_error


def test_deviations_follow_the_scale_of_the_curve():
    """Half the slope, half the deviation of the last layer."""
    generator = np.random.default_rng(0)
    seen = Seen(
        generator.normal(size=500),
        (generator.random(500) < 0.5) * 1.0,
        generator.normal(size=(500, 2)),
        np.zeros(500, np.int32),
    )
    full = fit_uncertainty([seen], seen, np.ones(3), Identity(), 1)
    half = fit_uncertainty([seen], seen, np.ones(3), Platt(slope=0.5, intercept=0), 1)

    assert half.factor == pytest.approx(full.factor / 2, rel=1e-3)
