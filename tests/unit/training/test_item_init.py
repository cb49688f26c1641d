"""Item embeddings from the interactions."""

import numpy as np
import scipy.sparse as sp

from training.data import Ragged
from training.item_init import svd_embeddings, truncated_right_factors
from vizsla.testing.planted import planted


def test_factors_are_those_of_a_dense_decomposition():
    """Values, and vectors up to their sign, of a random matrix."""
    matrix = np.random.default_rng(0).random((30, 12))
    factors, values = truncated_right_factors(sp.csr_matrix(matrix), 4, np.random.default_rng(1))
    _, expected, rows = np.linalg.svd(matrix)

    assert np.allclose(values, expected[:4])
    assert np.allclose(np.abs((factors * rows[:4].T).sum(axis=0)), 1.0)


def test_items_of_one_cluster_start_near_each_other():
    """Unit vectors; nearer within a planted cluster than across."""
    data = planted()
    train = Ragged.from_lists(data.histories())
    vectors = svd_embeddings(train, 60, 8, 0.5, np.random.default_rng(0))
    cosines = vectors @ vectors.T
    same = data.item_clusters[:, None] == data.item_clusters

    assert np.allclose(np.diag(cosines), 1.0, atol=1e-5)
    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_an_item_without_interactions_gets_a_direction_of_its_own():
    """Not a NaN, not the zero vector; asking for more factors than there are is fine."""
    vectors = svd_embeddings(Ragged.from_lists([[0, 1]]), 3, 8, 1.0, np.random.default_rng(0))

    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
