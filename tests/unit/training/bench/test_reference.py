"""The compiled reference: its rule, its step, and that batches end where it ends."""

import math

import numpy as np
import pytest

from training.backbone_recipe import BackboneRecipe
from training.backbone_trainer import BackboneTrainer, backbone_figures
from training.bench import reference
from training.recipe import NegativeSettings
from training.trainer import RunOptions
from vizsla.models.recommender.mf import MatrixFactorisation


def test_one_step_by_hand():
    """The user moves first, the items by where the user has moved to."""
    user, liked, other = (np.array(x) for x in ([1.0, 2.0], [0.5, 0.0], [0.0, 0.5]))
    before = user.copy(), liked.copy(), other.copy()
    reference._descend(user, liked, other)
    slope, rate, reg = 1 - 1 / (1 + math.exp(0.5)), reference.LEARNING_RATE, reference.REG
    moved = before[0] + rate * (slope * (before[1] - before[2]) - reg * before[0])

    assert user == pytest.approx(moved)
    assert liked == pytest.approx(before[1] + rate * (slope * moved - reg * before[1]))
    assert other == pytest.approx(before[2] + rate * (-slope * moved - reg * before[2]))


def test_the_least_risky_candidate_by_hand():
    """Four unseen items score 1 to 4; the top one is vetoed where its prior is 0.3.

    Its rank is 4/5: posterior (1/5)(7/10) / ((1/5)(7/10) + (4/5)(3/10)) = 0.37; that of the
    next, 3/5, without a prior is 1.
    """
    items = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    seen = np.array([True, False, False, False, False])
    for prior, expected in ((0.0, 4), (0.3, 3)):
        priors = np.array([0.0, 0.0, 0.0, 0.0, prior])
        found = reference._least_risky(np.array([3, 4]), np.ones(1), items, 0, seen, priors)
        assert found == expected


def test_candidates_are_distinct_and_unseen():
    """Four of four unseen items, in any order."""
    drawn = np.empty(4, np.int64)
    seen = np.array([True, False, False, True, False, False])
    reference._draw_distinct(drawn, seen, np.random.default_rng(0))

    assert sorted(drawn) == [1, 2, 4, 5]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "sampler", "options"),
    [
        ("uniform", "uniform", {"shared": False}),
        ("dns", "dns", {"candidates_per_negative": 5}),
        (
            "bns",
            "bns",
            {"candidates_per_negative": 5, "weight": 5.0, "prior": "popularity", "cdf": "exact"},
        ),
    ],
)
def test_batches_end_where_single_triples_end(rule, sampler, options, split, tmp_path):
    """Mean recall over three seeds agrees within what three seeds vary by."""
    negatives = NegativeSettings(sampler=sampler, n_negatives=1, options=options)
    recipe = BackboneRecipe(
        epochs=60, batch_size=16, validate_every=0, learning_rate=0.01, negatives=negatives
    )
    single, batched = [], []
    for seed in range(3):
        users, items = reference.train_reference(
            split.train, split.n_items, rule, epochs=60, seed=seed
        )
        single.append(recall(tables(users, items), split))
        options_ = RunOptions(tmp_path / str(seed), seed=seed, threads=1)
        model = BackboneTrainer(recipe, split, options_).run(lambda _: {})
        batched.append(recall(model, split))

    assert np.mean(batched) == pytest.approx(np.mean(single), abs=0.05)


def tables(users, items):
    import torch

    model = MatrixFactorisation(*map(len, (users, items)), MatrixFactorisation.Config())
    model.users.data, model.items.data = (torch.from_numpy(x).float() for x in (users, items))
    return model


def recall(model, split):
    return backbone_figures(model, split.test, (20,))["recall_at_20"].mean()
