"""Inner product search with seen items left out."""

import numpy as np
import pytest

from training.baselines.two_sided_faiss import TwoSidedFaiss
from training.data import Ragged
from training.metrics import coverage_at_k
from training.ranking import top_k_rows


@pytest.fixture(scope="module")
def vectors():
    """Random vectors of 300 items."""
    return np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)


def test_nearly_all_of_the_exact_answer_is_found(vectors):
    """An approximate index of a small catalogue misses almost nothing."""
    users = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    seen = Ragged.from_lists([[num % 300, 7] for num in range(40)])
    found = TwoSidedFaiss(vectors).top_k(users, 10, seen)

    assert coverage_at_k(found, top_k_rows(users @ vectors.T, 10, seen)).mean() > 0.98


def test_seen_items_are_left_out(vectors):
    """Even when they are the best."""
    users = vectors[:5]
    best = top_k_rows(users @ vectors.T, 3)
    found = TwoSidedFaiss(vectors).top_k(users, 5, Ragged.from_lists(list(best)))

    assert not (found[:, :, None] == best[:, None, :]).any()


def test_a_catalogue_smaller_than_k_is_padded(vectors):
    """Rows have k places whatever there is."""
    found = TwoSidedFaiss(vectors[:3]).top_k(vectors[:1], 5, Ragged.from_lists([[0]]))

    assert sorted(found[0].tolist()) == [-1, -1, -1, 1, 2]
