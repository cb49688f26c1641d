"""The exact top of the whole catalogue, in bounded memory.

Shapes: **Q** queries, **N** items, **K** results, **B** queries scored together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import EvalCases, Ragged, Split
from vizsla.contracts.tables import tables_of
from vizsla.errors import ContractError
from vizsla.models.recommender.base import CompiledScore, Matcher, SequenceBatch, UserState
from vizsla.models.recommender.context import pad_histories
from vizsla.rng import numpy_generator

__all__ = [
    "Head",
    "Ranking",
    "both_scores",
    "exhaustive_ranking",
    "sample_cases",
    "slice_rows",
    "take_cases",
    "target_nll",
    "top_k_rows",
]

Head = Literal["deep", "two_sided"]
"""Which score of a matcher: the deep one that is served, or its dot product alone."""

_QUERY_BATCH = 128
_ITEM_BATCH = 4_096  # its intermediate results stay in the cache
_NEVER = np.float32(-np.inf)
_LOW_WORD = np.int64(0xFFFFFFFF)


class Ranking(NamedTuple):
    """What every item's score says about Q queries.

    Attributes:
        top_items: ``(Q, k)`` int64, best first, ties to the smaller number, padded with -1.
        nll: ``(Q,)`` float64 mean over a query's targets of ``-log softmax(scores)[target]``
            among them and the unseen items, nats.  Far less noisy than any figure of the first k places.
    """

    top_items: NDArray[np.int64]
    nll: NDArray[np.float64]


def exhaustive_ranking(
    matcher: Matcher,
    split: Split,
    cases: EvalCases,
    k: int,
    *,
    head: Head = "deep",
    advance: Callable[[int], object] | None = None,
) -> Ranking:
    """Score every item for every query; return the best unseen ones and the targets' likelihood.

    The oracle that a walk is measured against, and the figure a bundle is
    published by.  Puts the matcher in evaluation mode for the call.

    Args:
        matcher: Anything that implements ``Matcher``; stays on its device.
        split: Where user features come from.
        cases: Q queries; see ``sample_cases`` to bound their number.
        k: Results wanted, at least 1.
        head: ``deep`` for ``matcher.scores``, ``two_sided`` for its dot product.
        advance: Called with the number of queries done after each batch, for a progress bar.

    Raises:
        ContractError: The matcher returned a NaN or the wrong number of scores.

    Complexity:
        ``Q * N`` scores (deep: about 2.3 microseconds each on one core); memory
        for 128 x N scores and their sorting keys.
    """
    was_training = matcher.training
    matcher.eval()
    try:
        with torch.no_grad():
            score_batch = _deep(matcher) if head == "deep" else _two_sided(matcher)
            found = [Ranking(np.empty((0, k), np.int64), np.empty(0))]
            for part in _ranked(matcher, split, cases, k, score_batch):
                found.append(part)
                if advance is not None:
                    advance(len(part.nll))
            return Ranking(*map(np.concatenate, zip(*found, strict=True)))
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


def target_nll(scores: NDArray[np.float32], targets: Ragged, seen: Ragged) -> NDArray[np.float64]:
    """Return each query's mean negative log-likelihood of its targets among the unseen items.

    Args:
        scores: ``(Q, N)`` float32 logits.
        targets: Q rows of item numbers, none empty; they count even where they were seen.
        seen: Q rows of item numbers that get no probability.

    Example:
        Three equal items are left, so each has a third:

        >>> rows = Ragged.from_lists
        >>> nll = target_nll(np.zeros((1, 4), np.float32), rows([[2]]), rows([[0]]))
        >>> np.exp(-nll).round(4).tolist()
        [0.3333]
    """
    left = scores.copy()
    own = left[_row_of(targets), targets.values]
    left[_row_of(seen), seen.values] = _NEVER
    left[_row_of(targets), targets.values] = own
    total = torch.logsumexp(torch.from_numpy(left), dim=1).double().numpy()
    surprise = np.repeat(total, targets.lengths) - own
    sums = np.bincount(_row_of(targets), weights=surprise, minlength=len(targets))
    return np.asarray(sums / targets.lengths)


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
        cases.histories.take(rows),
        cases.targets.take(rows),
        cases.seen.take(rows),
    )


def slice_rows(ragged: Ragged, start: int, stop: int) -> Ragged:
    """Return rows ``start`` to ``stop`` without copying their values."""
    offsets = ragged.offsets[start : stop + 1]
    return Ragged(offsets - offsets[0], ragged.values[offsets[0] : offsets[-1]])


@torch.no_grad()
def both_scores(
    matcher: Matcher, split: Split, cases: EvalCases
) -> Iterator[tuple[EvalCases, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield some queries after the other, with their deep and their two-sided scores of all items.

    Both are ``(B, N)``; the matcher has to be in evaluation mode.
    """
    deep, two_sided = _deep(matcher), _two_sided(matcher)
    for own, state in _states(matcher, split, cases):
        yield own, deep(state), two_sided(state)


def _ranked(
    matcher: Matcher,
    split: Split,
    cases: EvalCases,
    k: int,
    score_batch: Callable[[UserState], NDArray[np.float32]],
) -> Iterator[Ranking]:
    for own, state in _states(matcher, split, cases):
        scores = score_batch(state)
        yield Ranking(top_k_rows(scores, k, own.seen), target_nll(scores, own.targets, own.seen))


def _states(
    matcher: Matcher, split: Split, cases: EvalCases
) -> Iterator[tuple[EvalCases, UserState]]:
    device = matcher.all_item_vectors().device
    for start, stop in _batches(len(cases.targets), _QUERY_BATCH):
        own = take_cases(cases, np.arange(start, stop))
        yield own, matcher.final_states(_sequence_batch(matcher, split, own, device))


def _sequence_batch(
    matcher: Matcher, split: Split, cases: EvalCases, device: torch.device
) -> SequenceBatch:
    items = pad_histories(list(cases.histories), matcher.max_history).item_nums.to(device)
    if not matcher.n_user_features:
        return SequenceBatch(items)
    if split.user_features is None:
        unknown = torch.zeros(len(items), matcher.n_user_features, dtype=torch.int64)
        return SequenceBatch(items, unknown.to(device))
    codes = split.user_features.codes[cases.user_nums]
    return SequenceBatch(items, torch.from_numpy(codes).to(device))


def _two_sided(matcher: Matcher) -> Callable[[UserState], NDArray[np.float32]]:
    vectors = matcher.all_item_vectors()
    return lambda state: _as_array(matcher.two_sided_scores(state, vectors))


def _deep(matcher: Matcher) -> Callable[[UserState], NDArray[np.float32]]:
    """Score as serving does: everything about an item in tables, a user folded once."""
    fused = matcher.compiled() if matcher.all_item_vectors().device.type == "cpu" else None
    return _deep_by_torch(matcher) if fused is None else _deep_compiled(matcher, fused)


def _deep_compiled(
    matcher: Matcher, fused: CompiledScore
) -> Callable[[UserState], NDArray[np.float32]]:
    tables = tables_of([_as_array(table) for table in matcher.item_tables()])
    everything = np.arange(tables.n_items)
    nobody_else = np.zeros(tables.n_items, np.int64)

    def of_user(state: UserState, row: int) -> NDArray[np.float32]:
        own = slice(row, row + 1)
        alone = UserState(state.user[own], state.values[own], state.keys[own], state.mask[own])
        return fused.score(fused.fold(alone), tables, nobody_else, everything)

    return lambda state: np.stack([of_user(state, row) for row in range(len(state.user))])


def _deep_by_torch(matcher: Matcher) -> Callable[[UserState], NDArray[np.float32]]:
    tables = matcher.item_tables()
    chunks = [
        tuple(table[start:stop] for table in tables)
        for start, stop in _batches(len(tables[0]), _ITEM_BATCH)
    ]

    def of_user(state: UserState, row: int) -> NDArray[np.float32]:
        folded = matcher.fold(state, row)
        return _as_array(torch.cat([matcher.folded_scores(folded, chunk) for chunk in chunks]))

    return lambda state: np.stack([of_user(state, row) for row in range(len(state.user))])


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
