"""Probabilities of pairs, kept for all of them or for the likeliest ones of every user."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings, strategies as st

from training import prior_table
from training.data import Ragged
from training.isotonic import Calibration
from training.item_item import CalibratedItemItemPrior
from training.prior_table import DenseTable, ScoredPairs, SparseTable, build_table
from training.samplers.base import SamplerData
from training.seen_items import SeenItems
from vizsla.testing.planted import planted

HALVES = Calibration(np.array([0.0, 8.0]), np.array([0.0, 0.5]))
"""A score of ``s`` has the probability ``s / 16``."""


def pairs_of(scores, seen):
    scores = np.array(scores, np.float32)
    seen = sp.csr_matrix(np.array(seen, np.float32).reshape(scores.shape))
    return ScoredPairs(lambda users: sp.csr_matrix(scores[users]), HALVES, seen)


def whole(table, n_users, n_items):
    return table(torch.arange(n_users), torch.arange(n_items).expand(n_users, -1)).numpy()


def test_the_likeliest_unseen_items_are_kept_and_the_others_have_their_mean():
    """Item 0 is seen; items 3 and 1 have 4/16 and 2/16, the others (1 + 0) / 16 / 2."""
    pairs = pairs_of([[8, 2, 1, 4, 0]], [[1, 0, 0, 0, 0]])
    found = whole(SparseTable(pairs, 2), 1, 5)[0]

    assert found[1:].tolist() == [2 / 16, 1 / 32, 4 / 16, 1 / 32]


def test_a_user_without_scores_has_the_probability_of_zero():
    """Nothing to keep: every pair answers the calibration of zero."""
    shifted = Calibration(np.array([0.0, 8.0]), np.array([0.25, 0.5]))
    pairs = pairs_of([[0, 0, 0]], [[0, 0, 0]])._replace(calibration=shifted)

    assert whole(SparseTable(pairs, 2), 1, 3).tolist() == [[0.25, 0.25, 0.25]]


def test_a_user_who_has_everything_is_no_error():
    """Without an unseen item there is no mean; the answer is a number all the same."""
    pairs = pairs_of([[1, 2]], [[1, 1]])

    assert np.isfinite(whole(SparseTable(pairs, 1), 1, 2)).all()


@settings(deadline=None)  # the first lookup compiles
@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
)
def test_the_sparse_table_is_the_dense_one_above_the_cut(n_users, n_items, n_kept, seed):
    """The K likeliest unseen pairs are equal, and the sum over a user's unseen items is kept."""
    generator = np.random.default_rng(seed)
    scores = generator.random((n_users, n_items)) * generator.integers(0, 2, (n_users, n_items)) * 8
    unseen = generator.random((n_users, n_items)) < 0.7
    pairs = pairs_of(scores, ~unseen)
    dense = whole(DenseTable(pairs), n_users, n_items)
    sparse = whole(SparseTable(pairs, n_kept), n_users, n_items)
    likeliest = np.argsort(-np.where(unseen, dense, -1.0), axis=1)[:, :n_kept]
    kept = np.zeros_like(unseen)
    np.put_along_axis(kept, likeliest, True, axis=1)
    kept &= unseen & (dense > 0)

    assert (sparse[kept] == dense[kept]).all()
    assert np.allclose(
        np.where(unseen, sparse, 0).sum(1), np.where(unseen, dense, 0).sum(1), atol=1e-5
    )


def test_blocks_do_not_change_a_table(monkeypatch):
    """One user at a time gives what all at once give."""
    generator = np.random.default_rng(0)
    pairs = pairs_of(generator.random((7, 9)) * 8, generator.random((7, 9)) < 0.3)
    at_once = [whole(kind, 7, 9) for kind in (DenseTable(pairs), SparseTable(pairs, 3))]
    monkeypatch.setattr(prior_table, "BLOCK_PAIRS", 9)
    one_by_one = [whole(kind, 7, 9) for kind in (DenseTable(pairs), SparseTable(pairs, 3))]

    assert all(map(np.array_equal, at_once, one_by_one))


@pytest.mark.parametrize(
    ("dense_pairs", "kept_pairs", "kind", "n_kept"),
    [(63, 99, DenseTable, None), (62, 29, SparseTable, 4), (62, 6, SparseTable, 1)],
)
def test_memory_is_bounded(monkeypatch, dense_pairs, kept_pairs, kind, n_kept):
    """7 users of 9 items: all 63 pairs if allowed, else as many for each as fit, one at least."""
    monkeypatch.setattr(prior_table, "MAX_DENSE_PAIRS", dense_pairs)
    monkeypatch.setattr(prior_table, "MAX_KEPT_PAIRS", kept_pairs)
    table = build_table(pairs_of(np.ones((7, 9)), np.zeros((7, 9))))

    assert type(table) is kind
    assert getattr(table, "n_kept", None) == n_kept


@pytest.mark.parametrize("dense_pairs", [10_000, 0])
def test_the_prior_answers_the_calibrated_product(monkeypatch, dense_pairs):
    """Whichever table: the likeliest unseen items of a user have their calibrated score."""
    monkeypatch.setattr(prior_table, "MAX_DENSE_PAIRS", dense_pairs)
    train = Ragged.from_lists(planted(n_users=80, n_items=60, per_user=12).histories())
    counts = torch.bincount(torch.from_numpy(train.values), minlength=60)
    seen = SeenItems(train, 60)
    prior = CalibratedItemItemPrior(SamplerData(train, seen, counts, seed=3))
    users, items = torch.arange(80), torch.arange(60).expand(80, -1)
    product = prior.calibration(prior.scores(np.arange(80)))
    unseen = ~seen.contains(users, items).numpy()

    assert np.array_equal(prior(users, items).numpy()[unseen], product[unseen])
