"""What a baseline is, and the sparse matrices they share.

Shapes: **Q** queries, **U** users, **N** items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data import EvalCases, Ragged, Split
from training.ranking import slice_rows, top_k_rows
from vizsla.errors import UsageError

__all__ = [
    "Baseline",
    "DoesNotFitError",
    "baseline_top_k",
    "history_matrix",
    "interaction_matrix",
    "keep_largest",
    "recommendation_histories",
]

_QUERY_BATCH = 256


class DoesNotFitError(UsageError):
    """The catalogue is too large for this baseline on this machine; force it or leave it out."""


class Baseline(Protocol):
    """A recommender that learns by counting."""

    def fit(self, split: Split) -> None:
        """Learn from ``split.train``; a second call forgets the first.

        Raises:
            DoesNotFitError: The catalogue is too large.
        """

    def scores(self, histories: Ragged) -> NDArray[np.float32]:
        """Return ``(Q, N)`` scores for Q histories, oldest item first; higher is better.

        Independent per row; an empty history gets a constant or popularity.  The caller
        bounds Q, since the result is dense.
        """


def baseline_top_k(
    baseline: Baseline,
    cases: EvalCases,
    k: int,
    *,
    histories: Ragged | None = None,
    advance: Callable[[int], object] | None = None,
) -> NDArray[np.int64]:
    """Rank the whole catalogue for every query by a fitted baseline.

    Args:
        baseline: Already fitted.
        cases: Q queries; their seen items are left out.
        k: Results wanted.
        histories: Q rows to recommend from instead of ``cases.histories``.
        advance: Called with the number of queries done after each batch.

    Returns:
        ``(Q, k)`` int64, best first, ties to the smaller number, padded with -1.
    """
    rows, found = cases.histories if histories is None else histories, []
    for start in range(0, len(rows), _QUERY_BATCH):
        stop = min(start + _QUERY_BATCH, len(rows))
        scores = baseline.scores(slice_rows(rows, start, stop))
        found.append(top_k_rows(scores, k, slice_rows(cases.seen, start, stop)))
        if advance is not None:
            advance(stop - start)
    return np.concatenate(found) if found else np.empty((0, k), np.int64)


def recommendation_histories(split: Split, cases: EvalCases) -> Ragged:
    """Return what a counting baseline may recommend from: all that is known of the user.

    Where the data has no order the histories are a bounded sample, made for models
    that read sequences.  Counting has no such bound, and its published figures are
    made from whole profiles, so it gets the seen items, which are exactly those.
    """
    whole = split.order == "none" and len(cases.seen.values) > 0
    return cases.seen if whole else cases.histories


def interaction_matrix(rows: Ragged, n_items: int) -> sparse.csr_array:
    """Return the ``(R, N)`` float32 matrix with 1 where the row has the item, repeats counted once.

    Example:
        >>> interaction_matrix(Ragged.from_lists([[2, 0, 2], []]), 3).toarray().tolist()
        [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    ones = np.ones(len(rows.values), np.float32)
    matrix = sparse.csr_array((ones, rows.values, rows.offsets), shape=(len(rows), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def history_matrix(
    rows: Ragged, n_items: int, *, limit: int | None = None, decay: float = 1.0
) -> sparse.csr_array:
    """Return ``(R, N)`` float32 weights of the last items of each history.

    The newest item weighs 1, the one before ``decay``, then ``decay ** 2``; items
    older than ``limit`` places weigh nothing, repeats add up.

    Example:
        >>> weights = history_matrix(Ragged.from_lists([[0, 1, 2]]), 3, limit=2, decay=0.5)
        >>> weights.toarray().tolist()
        [[0.0, 0.5, 1.0]]
    """
    age = np.repeat(rows.offsets[1:], rows.lengths) - 1 - np.arange(len(rows.values))
    weights = np.power(np.float32(decay), age, dtype=np.float32)
    if limit is not None:
        weights[age >= limit] = 0.0
    matrix = sparse.csr_array(
        (weights, rows.values.copy(), rows.offsets), shape=(len(rows), n_items)
    )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def keep_largest(matrix: sparse.csr_array, k: int) -> sparse.csr_array:
    """Return the matrix with only the k largest values of every row, ties to the smaller column.

    Example:
        >>> rows = sparse.csr_array(np.array([[1.0, 3.0, 2.0], [0.0, 4.0, 0.0]]))
        >>> keep_largest(rows, 2).toarray().tolist()
        [[0.0, 3.0, 2.0], [0.0, 4.0, 0.0]]
    """
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    row_of = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((-matrix.data, row_of))  # stable: ties keep the order of columns
    rank = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], lengths)
    kept = np.sort(order[rank < k])
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, k))])
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], offsets), shape=matrix.shape)
