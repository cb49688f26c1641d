"""Probabilities of user-item pairs, computed once and looked up for every batch.

Shapes: **P** positives of a batch, **C** candidates, **U** users, **N** items, **K** kept items
of a user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.baselines.base import keep_largest
from training.counting import look_up
from training.isotonic import Calibration
from vizsla.cli_output import progress

__all__ = ["DenseTable", "PriorTable", "ScoredPairs", "SparseTable", "build_table"]

MAX_DENSE_PAIRS = 50_000_000
"""Largest ``U * N`` of which every pair is kept: 200 MB."""

MAX_KEPT_PAIRS = 25_000_000
"""Pairs of a sparse table, at 8 bytes each: 200 MB."""

MAX_KEPT_PER_USER = 256
BLOCK_PAIRS = 20_000_000
"""Pairs that are scored at once while a table is built."""

ScoreRows = Callable[[NDArray[np.int64]], "NDArray[np.float32] | sp.csr_matrix"]
"""Scores of some users for all items: ``(len(users), N)``, dense or sparse."""


class ScoredPairs(NamedTuple):
    """What a table is made of.

    Attributes:
        scores: Makes the rows of some users.
        calibration: From score to probability.
        seen: ``(U, N)`` float32 ones where the user has the item.
    """

    scores: ScoreRows
    calibration: Calibration
    seen: sp.csr_matrix


class PriorTable(Protocol):
    """Probabilities by user and item."""

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(P, C)`` float32 for ``(P,)`` users and ``(P, C)`` items."""
        ...


def build_table(pairs: ScoredPairs) -> PriorTable:
    """Keep every pair where there are few enough, the likeliest ones of every user elsewhere.

    Memory: 200 MB at most for the table, and a few copies of ``BLOCK_PAIRS`` while it is built.
    """
    n_users, n_items = pairs.seen.shape
    if n_users * n_items <= MAX_DENSE_PAIRS:
        return DenseTable(pairs)
    n_kept = min(MAX_KEPT_PER_USER, MAX_KEPT_PAIRS // n_users, n_items)
    return SparseTable(pairs, max(1, n_kept))


class DenseTable:
    """Every pair: 4 bytes each, and a lookup is one gather."""

    def __init__(self, pairs: ScoredPairs) -> None:
        n_users, self._n_items = pairs.seen.shape
        table = np.empty((n_users, self._n_items), np.float32)
        for users in _blocks(n_users, self._n_items):
            scores = pairs.scores(users)
            dense = scores if isinstance(scores, np.ndarray) else scores.toarray()
            table[users] = pairs.calibration(dense)
        self._flat = torch.from_numpy(table).flatten()

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Look the pairs up."""
        return _take(self._flat, users[:, None] * self._n_items + item_nums)


class SparseTable:
    """The highest-scored unseen items of every user; all others have the user's mean.

    The probabilities of all unseen items of a user thus have the sum that the whole rows
    have, and the level of the prior stays right.  Pairs that the user has are no
    candidates: they may answer anything.

    Args:
        pairs: A score of zero need not be stored.
        n_kept: Items of each user, K.

    Complexity:
        A lookup is a binary search, ``O(P C log K)``, however many items there are.
    """

    def __init__(self, pairs: ScoredPairs, n_kept: int) -> None:
        n_users, n_items = pairs.seen.shape
        self.n_kept = n_kept
        self._rest = np.empty(n_users, np.float32)
        self._items = np.full((n_users, n_kept), n_items, np.int32)  # N: no item, sorts last
        self._probabilities = np.zeros((n_users, n_kept), np.float32)
        for users in _blocks(n_users, n_items):
            self._fill(pairs, users)

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Search the pairs among the kept ones of their users."""
        found = look_up(
            self._items, self._probabilities, self._rest, users.numpy(), item_nums.numpy()
        )
        return torch.from_numpy(found)

    def _fill(self, pairs: ScoredPairs, users: NDArray[np.int64]) -> None:
        seen, scores = sp.csr_array(pairs.seen[users]), sp.csr_array(pairs.scores(users))
        unseen = sp.csr_array(scores - scores.multiply(seen))
        unseen.eliminate_zeros()
        kept = keep_largest(unseen, self.n_kept)
        lengths = np.diff(kept.indptr)
        rows = np.repeat(users, lengths)
        places = np.arange(len(rows)) - np.repeat(kept.indptr[:-1], lengths)
        self._items[rows, places] = kept.indices
        self._probabilities[rows, places] = pairs.calibration(kept.data)
        n_unseen = seen.shape[1] - np.diff(seen.indptr)
        total = _row_sums(pairs.calibration, unseen, n_unseen)
        left = total - self._probabilities[users].sum(axis=1, dtype=np.float64)
        self._rest[users] = np.maximum(left, 0.0) / np.maximum(n_unseen - lengths, 1)


def _row_sums(
    calibration: Calibration, scores: sp.csr_array, n_entries: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the sum of each row's probabilities; what is not stored of a row scores zero."""
    zero = float(calibration(np.zeros(1, np.float32))[0])
    above = calibration(scores.data).astype(np.float64) - zero
    matrix = sp.csr_array((above, scores.indices, scores.indptr), shape=scores.shape)
    sums: NDArray[np.float64] = np.asarray(matrix.sum(axis=1), np.float64).ravel()
    return sums + zero * n_entries


def _take(flat: Tensor, places: Tensor) -> Tensor:
    """Gather from a flat table; twice as fast as indexing."""
    return flat.index_select(0, places.view(-1)).view(places.shape)


def _blocks(n_users: int, n_items: int) -> Iterator[NDArray[np.int64]]:
    """Yield the users in blocks of bounded size, with a progress bar."""
    size = max(1, BLOCK_PAIRS // max(n_items, 1))
    with progress("prior of all pairs", total=n_users, unit="users") as bar:
        for start in range(0, n_users, size):
            users = np.arange(start, min(start + size, n_users))
            yield users
            bar.advance(len(users))
