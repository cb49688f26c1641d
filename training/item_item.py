"""A personal, calibrated prior of a false negative from item-item counting.

Shapes: **P** positives of a batch, **C** candidates, **U** users, **N** items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from torch import Tensor

from training.baselines.base import keep_largest
from training.data import Ragged
from training.isotonic import Calibration, calibrate
from training.prior_table import ScoredPairs, build_table
from training.samplers.base import SamplerData
from vizsla.rng import numpy_generator

__all__ = ["CalibratedItemItemPrior", "item_similarity"]

HELD_OUT_RATIO = 0.2
MAX_NEIGHBORS = 100
MAX_CALIBRATION_PAIRS = 20_000_000
EASE_MAX_ITEMS = 4_000
EASE_REG = 500.0
BLOCK_ENTRIES = 10_000_000
"""Entries of the similarity matrix that may be computed at once, however few are kept."""


class CalibratedItemItemPrior:
    """Probability that a user would like an unseen item, from items that go together.

    An item-item model is fitted on 80 % of the training pairs; how often an unseen
    pair of a given score is among the held-out 20 % is measured and smoothed to a rising
    curve.  Then the model is fitted on all pairs, and scores whole histories.  Spotting hidden positives it is far better than popularity, and its level is
    right, which matters more than the formula that uses it.  It partly distils the
    item-item model into the one being trained.

    Everything is computed when it is built: the probability of every pair, or of the
    likeliest unseen items of every user where that were too many (the others then have
    the user's mean), so that a call is a lookup.

    Args:
        data: The training data; its seed chooses the held-out pairs.

    Complexity:
        The item-item model has at most ``MAX_NEIGHBORS`` neighbours per item (dense EASE up
        to ``EASE_MAX_ITEMS`` items).  The table of pairs takes 200 MB at most
        (``training.prior_table``); building it takes a few copies of 20 million pairs.
    """

    def __init__(self, data: SamplerData) -> None:
        generator = numpy_generator(data.seed, "item-item prior")
        pairs = _hold_out(data.train, data.n_items, generator)
        self._histories = pairs.fitted
        self._similarity = item_similarity(pairs.fitted)
        self.calibration = self._calibrate(pairs.held_out, generator)
        self._histories = sp.csr_matrix(pairs.fitted + pairs.held_out)
        self._similarity = item_similarity(self._histories)
        self.table = build_table(ScoredPairs(self._product, self.calibration, self._histories))

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(P, C)`` float32 probabilities for ``(P,)`` users and ``(P, C)`` unseen items."""
        return self.table(users, item_nums)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return ``(len(users), N)`` item-item scores, not yet calibrated."""
        product = self._product(users)
        dense = product if isinstance(product, np.ndarray) else product.toarray()
        return np.ascontiguousarray(dense, np.float32)

    def _product(self, users: NDArray[np.int64]) -> NDArray[np.float32] | sp.csr_matrix:
        return self._histories[users] @ self._similarity

    def _calibrate(self, held_out: sp.csr_matrix, generator: np.random.Generator) -> Calibration:
        users = np.flatnonzero(np.diff(held_out.indptr))
        n_users = max(1, MAX_CALIBRATION_PAIRS // held_out.shape[1])
        if len(users) > n_users:
            users = generator.choice(users, n_users, replace=False)
        scores = self.scores(users)
        unseen = self._histories[users].toarray() == 0
        hits = held_out[users].toarray() > 0
        return calibrate(scores[unseen], hits[unseen])


class _Pairs(NamedTuple):
    """``(U, N)`` matrices of ones: what is fitted on, and what is held out."""

    fitted: sp.csr_matrix
    held_out: sp.csr_matrix


def _hold_out(train: Ragged, n_items: int, generator: np.random.Generator) -> _Pairs:
    keys = train.keys(n_items)
    hidden = generator.random(len(keys)) < HELD_OUT_RATIO
    return _Pairs(*(_matrix(keys[part], len(train), n_items) for part in (~hidden, hidden)))


def _matrix(keys: NDArray[np.int64], n_users: int, n_items: int) -> sp.csr_matrix:
    ones = np.ones(len(keys), np.float32)
    return sp.csr_matrix((ones, (keys // n_items, keys % n_items)), (n_users, n_items))


def item_similarity(pairs: sp.csr_matrix) -> NDArray[np.float32] | sp.csr_matrix:
    """Return ``(N, N)`` weights of an item of the history (row) for a candidate (column).

    EASE for small catalogues (Steck, WWW 2019); cosine of the co-occurrences, cut to the
    nearest neighbours, for larger ones.

    Args:
        pairs: ``(U, N)`` float32 ones.
    """
    if pairs.shape[1] <= EASE_MAX_ITEMS:
        return _ease(pairs)
    return _cosine(pairs)


def _ease(pairs: sp.csr_matrix) -> NDArray[np.float32]:
    gram = (pairs.T @ pairs).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += EASE_REG
    precision = np.linalg.inv(gram)
    weights = np.asarray(precision / -np.diag(precision), np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def _cosine(pairs: sp.csr_matrix) -> sp.csr_matrix:
    block = max(1, BLOCK_ENTRIES // pairs.shape[1])
    norms = np.sqrt(np.asarray(pairs.sum(axis=0)).ravel())
    unit = sp.csr_array(pairs @ sp.diags(1.0 / np.maximum(norms, 1.0)), dtype=np.float32)
    by_item = sp.csr_array(unit.T)
    blocks = [
        _nearest(by_item[start : start + block] @ unit, start)
        for start in range(0, pairs.shape[1], block)
    ]
    return sp.csr_matrix(sp.vstack(blocks))


def _nearest(rows: sp.csr_array, start: int) -> sp.csr_array:
    """Keep the ``MAX_NEIGHBORS`` largest entries of every row, without the item itself."""
    row_of = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rows.data[rows.indices == start + row_of] = 0.0
    rows.eliminate_zeros()
    return keep_largest(rows, MAX_NEIGHBORS)
