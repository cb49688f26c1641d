"""The exact top of the whole catalogue, in bounded memory.

Shapes: **Q** queries, **N** items, **K** results, **B** queries scored together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import EvalCases, Ragged, Split
from vizsla.errors import ContractError
from vizsla.models.recommender.base import PADDING, Matcher, SequenceBatch
from vizsla.rng import numpy_generator

__all__ = [
    "DEEP_VALIDATION_QUERIES",
    "Head",
    "exhaustive_top_k",
    "pad_left",
    "sample_cases",
    "slice_rows",
    "take_cases",
    "take_rows",
    "top_k_rows",
]

Head = Literal["deep", "two_sided"]
"""Which score of a matcher: the deep one that is served, or its dot product alone."""

DEEP_VALIDATION_QUERIES = 2_000
"""Queries scored by the deep head during training; the two-sided head affords all."""

_QUERY_BATCH = {"deep": 32, "two_sided": 256}
_ITEM_BATCH = 2_048
_NEVER = np.float32(-np.inf)
_LOW_WORD = np.int64(0xFFFFFFFF)


def exhaustive_top_k(
    matcher: Matcher,
    split: Split,
    cases: EvalCases,
    k: int,
    *,
    head: Head = "deep",
    advance: Callable[[int], object] | None = None,
) -> NDArray[np.int64]:
    """Score every item for every query and return the best unseen ones.

    The oracle that a walk is measured against, and the figure a bundle is
    published by.  Puts the matcher in evaluation mode for the call.

    Args:
        matcher: Anything that implements ``Matcher``; stays on its device.
        split: Where item and user features come from, and ``max_history``.
        cases: Q queries; see ``sample_cases`` to bound their number.
        k: Results wanted, at least 1.
        head: ``deep`` for ``matcher.scores``, ``two_sided`` for its dot product.
        advance: Called with the number of queries done after each batch, for a progress bar.

    Returns:
        ``(Q, k)`` int64, best first, ties to the smaller number, padded with -1.

    Raises:
        ContractError: The matcher returned a NaN or the wrong number of scores.

    Complexity:
        ``Q * N`` scores; memory for 32 queries x 2,048 items of intermediate
        results (deep) and 256 x N scores.
    """
    was_training = matcher.training
    matcher.eval()
    try:
        with torch.no_grad():
            return _ranked(matcher, split, cases, k, head, advance)
    finally:
        matcher.train(was_training)


def top_k_rows(
    scores: NDArray[np.float32], k: int, seen: Ragged | None = None
) -> NDArray[np.int64]:
    """Return the best k columns of every row, leaving out what was seen.

    Deterministic: among equal scores the smaller item number comes first, in
    the list and at its end.

    Args:
        scores: ``(Q, N)`` float32, higher is better; -inf means "never".
        k: Results wanted, at least 1; may exceed N.
        seen: Q rows of item numbers to leave out, or None.

    Returns:
        ``(Q, k)`` int64, padded with -1 where fewer than k items are left.

    Raises:
        ContractError: A score is NaN, or k < 1.

    Complexity:
        ``O(QN)`` plus sorting the k best; a copy of the scores as int64.

    Example:
        Items 1 and 2 tie; item 0 was seen:

        >>> rows = np.array([[9.0, 5.0, 5.0, 1.0]], np.float32)
        >>> top_k_rows(rows, 2, Ragged.from_lists([[0]])).tolist()
        [[1, 2]]
        >>> top_k_rows(rows, 5, Ragged.from_lists([[0]])).tolist()
        [[1, 2, 3, -1, -1]]
    """
    if k < 1:
        raise ContractError(f"k = {k}: at least 1 result must be wanted")
    if np.isnan(scores).any():
        raise ContractError("a score is NaN")
    keys = _sortable_keys(scores)
    if seen is not None:
        keys[_row_of(seen), seen.values] = np.iinfo(np.int64).min
    best = _largest(keys, min(k, scores.shape[1]))
    items = np.where(best >= _first_real_key(), _LOW_WORD - (best & _LOW_WORD), -1)
    padding = max(0, k - items.shape[1])
    return np.pad(items, ((0, 0), (0, padding)), constant_values=-1)


def sample_cases(cases: EvalCases, max_queries: int | None, seed: int) -> EvalCases:
    """Return a seeded subsample of the queries, in their order; all of them when None or few.

    Example:
        >>> rows = Ragged.from_lists([[1], [2], [3]])
        >>> cases = EvalCases(np.arange(3), rows, rows, rows)
        >>> len(sample_cases(cases, 2, seed=1).targets), sample_cases(cases, None, 1) is cases
        (2, True)
    """
    n_queries = len(cases.targets)
    if max_queries is None or max_queries >= n_queries:
        return cases
    generator = numpy_generator(seed, "evaluation queries")
    return take_cases(cases, np.sort(generator.choice(n_queries, max_queries, replace=False)))


def take_cases(cases: EvalCases, rows: NDArray[np.int64]) -> EvalCases:
    """Return the queries of the given rows, in the given order."""
    return EvalCases(
        cases.user_nums[rows],
        take_rows(cases.histories, rows),
        take_rows(cases.targets, rows),
        take_rows(cases.seen, rows),
    )


def take_rows(ragged: Ragged, rows: NDArray[np.int64]) -> Ragged:
    """Return the given rows of a ragged table, in the given order.

    Example:
        >>> taken = take_rows(Ragged.from_lists([[1, 2], [], [3]]), np.array([2, 0]))
        >>> taken[0].tolist(), taken[1].tolist()
        ([3], [1, 2])
    """
    lengths = ragged.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return Ragged(offsets, ragged.values[np.repeat(ragged.offsets[rows], lengths) + within])


def slice_rows(ragged: Ragged, start: int, stop: int) -> Ragged:
    """Return rows ``start`` to ``stop`` without copying their values."""
    offsets = ragged.offsets[start : stop + 1]
    return Ragged(offsets - offsets[0], ragged.values[offsets[0] : offsets[-1]])


def pad_left(rows: Ragged, length: int) -> NDArray[np.int64]:
    """Return the last ``length`` items of every row, right-aligned, padded with ``PADDING``.

    Example:
        >>> pad_left(Ragged.from_lists([[1, 2, 3], [4]]), 2).tolist()
        [[2, 3], [-1, 4]]
    """
    places = np.arange(-length, 0)[None, :] + rows.offsets[1:, None]
    inside = places >= rows.offsets[:-1, None]
    if not len(rows.values):
        return np.full(places.shape, PADDING, np.int64)
    return np.where(inside, rows.values[np.maximum(places, 0)], PADDING)


def _ranked(
    matcher: Matcher,
    split: Split,
    cases: EvalCases,
    k: int,
    head: Head,
    advance: Callable[[int], object] | None,
) -> NDArray[np.int64]:
    vectors = matcher.all_item_vectors()
    found = []
    for start, stop in _batches(len(cases.targets), _QUERY_BATCH[head]):
        batch = _sequence_batch(split, cases, start, stop, vectors.device)
        scores = _score_all(matcher, batch, vectors, head)
        found.append(top_k_rows(scores, k, slice_rows(cases.seen, start, stop)))
        if advance is not None:
            advance(stop - start)
    return np.concatenate(found) if found else np.empty((0, k), np.int64)


def _sequence_batch(
    split: Split, cases: EvalCases, start: int, stop: int, device: torch.device
) -> SequenceBatch:
    histories = slice_rows(cases.histories, start, stop)
    longest = int(histories.lengths.max(initial=1))
    length = max(1, min(longest, int(split.spec.get("max_history", longest))))
    items = torch.from_numpy(pad_left(histories, length)).to(device)
    if split.user_features is None:
        return SequenceBatch(items)
    codes = split.user_features.codes[cases.user_nums[start:stop]]
    return SequenceBatch(items, torch.from_numpy(codes).to(device))


def _score_all(
    matcher: Matcher, batch: SequenceBatch, vectors: torch.Tensor, head: Head
) -> NDArray[np.float32]:
    state = matcher.final_states(batch)
    if head == "two_sided":
        return _as_array(matcher.two_sided_scores(state, vectors))
    pieces = [
        matcher.scores(state, vectors[start:stop])
        for start, stop in _batches(len(vectors), _ITEM_BATCH)
    ]
    return _as_array(torch.cat(pieces, dim=1))


def _as_array(scores: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(scores.float().cpu().numpy(), np.float32)


def _batches(n_rows: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


def _row_of(rows: Ragged) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(rows)), rows.lengths)


def _sortable_keys(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers in the order of the scores, then of falling item number; all different.

    The bits of a float32 order like a signed integer once those of negative
    numbers are reversed; the item number fills the low word.
    """
    bits = np.ascontiguousarray(scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    ordered <<= 32
    ordered |= _LOW_WORD - np.arange(scores.shape[1])
    return ordered


def _first_real_key() -> np.int64:
    """Smallest key of a score above -inf."""
    never = _sortable_keys(np.full((1, 1), _NEVER))[0, 0]
    return np.int64(never + 1)


def _largest(keys: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k largest of every row, falling; sorts in place."""
    keys.partition(keys.shape[1] - k, axis=1)
    return np.sort(keys[:, keys.shape[1] - k :], axis=1)[:, ::-1]
