"""The kernels with Numba; arguments and results as in ``reference``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, overload

__all__ = ["claim", "dots_of_rows", "keep_best", "walk_by_dot"]

_jit = numba.njit(cache=True, nogil=True, fastmath={"nsz", "contract", "reassoc"})


@_jit
def claim(stamps: Any, keys: Any, base: int) -> Any:
    """Mark and compact in one pass."""
    claimed = np.empty(len(keys), np.int64)
    n = 0
    for place in range(len(keys)):
        key = keys[place]
        if stamps[key] < base:
            stamps[key] = base
            claimed[n] = key
            n += 1
    return claimed[:n]


@_jit
def keep_best(beams: Any, query_of: Any, scores: Any) -> None:
    """Merge into binary heaps, the smallest score on top."""
    width = beams.shape[1]
    for place in range(len(scores)):
        heap, score = beams[query_of[place]], scores[place]
        if score <= heap[0]:
            continue
        at = 0
        while True:
            child = 2 * at + 1
            if child >= width:
                break
            if child + 1 < width and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= score:
                break
            heap[at] = heap[child]
            at = child
        heap[at] = score


def _bitcast(context: Any, bits: Any) -> Any:
    """Read 32 bits as a float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


_as_float: Any = intrinsic(_bitcast)


def _dot(table: Any, scales: Any, row: Any, proxy: Any) -> float:
    """Multiply a row of a table with a vector, whatever the table is stored as."""
    return float(table[row] @ proxy)


@overload(_dot, jit_options={"nogil": True, "fastmath": True})
def _dot_of(table: Any, scales: Any, row: Any, proxy: Any) -> Callable[..., Any]:
    return {types.uint16: _dot_bfloat16, types.int8: _dot_int8}.get(table.dtype, _dot_float32)


def _dot_float32(table: Any, scales: Any, row: Any, proxy: Any) -> Any:
    total = np.float32(0)
    for column in range(len(proxy)):
        total += table[row, column] * proxy[column]
    return total


def _dot_bfloat16(table: Any, scales: Any, row: Any, proxy: Any) -> Any:
    total = np.float32(0)
    for column in range(len(proxy)):
        bits = np.uint32(table[row, column]) << np.uint32(16)
        total += _as_float(bits) * proxy[column]
    return total


def _dot_int8(table: Any, scales: Any, row: Any, proxy: Any) -> Any:
    total = np.float32(0)
    for column in range(len(proxy)):
        total += np.float32(table[row, column]) * proxy[column]
    return total * scales[row]


@_jit
def _sink(scores: Any, items: Any, n: int, score: float, item: int) -> None:
    """Replace the top of a heap of ``n``, whose smallest score is on top."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and scores[child + 1] < scores[child]:
            child += 1
        if scores[child] >= score:
            break
        scores[at], items[at] = scores[child], items[child]
        at = child
    scores[at], items[at] = score, item


@_jit
def _rise(scores: Any, items: Any, n: int, score: float, item: int) -> None:
    """Add one to a heap of ``n``, whose smallest score is on top."""
    at = n
    while at and scores[(at - 1) // 2] > score:
        above = (at - 1) // 2
        scores[at], items[at] = scores[above], items[above]
        at = above
    scores[at], items[at] = score, item


@_jit
def _offer(kept: Any, waiting: Any, sizes: Any, item: Any, score: float, stays: bool) -> Any:  # noqa: FBT001
    """Take an item among those to expand, and into the beam if it may stay, unless it is too low."""
    n, n_waiting = sizes
    if n == len(kept[0]):
        if score <= kept[0][0]:
            return sizes
        if stays:
            _sink(kept[0], kept[1], n, score, item)
    elif stays:
        _rise(kept[0], kept[1], n, score, item)
        n += 1
    _rise(waiting[0], waiting[1], n_waiting, -score, item)
    return n, n_waiting + 1


@_jit
def _with_room(waiting: Any, n: int, more: int) -> Any:
    """Return a heap that has places for ``more``."""
    scores, items = waiting
    if n + more <= len(scores):
        return waiting
    wide_scores, wide_items = (
        np.empty(2 * (n + more), np.float32),
        np.empty(2 * (n + more), np.int64),
    )
    wide_scores[:n] = scores[:n]
    wide_items[:n] = items[:n]
    return wide_scores, wide_items


@_jit
def walk_by_dot(
    graph: Any, table: Any, proxy: Any, width: int, marks: Any, allowed: Any, budget: int
) -> Any:
    """Best-first search with two heaps: the best so far, and those to expand."""
    (neighbors, entries, products), (vectors, scales), (stamps, stamp) = graph, table, marks
    kept = (np.empty(width, np.float32), np.empty(width, np.int64))
    room, everything = len(entries) + 4 * width, len(allowed) == 0
    waiting = (np.empty(room, np.float32), np.empty(room, np.int64))
    n_scored, sizes = len(entries), (0, 0)
    for place in range(len(entries)):
        item = np.int64(entries[place])
        stamps[item] = stamp
        sizes = _offer(kept, waiting, sizes, item, products[place], everything or allowed[item])
    while sizes[1] and n_scored <= budget:
        n, left = sizes[0], sizes[1] - 1
        if n == width and -waiting[0][0] < kept[0][0]:
            break
        own = waiting[1][0]
        _sink(waiting[0], waiting[1], left, waiting[0][left], waiting[1][left])
        waiting, sizes = _with_room(waiting, left, neighbors.shape[1]), (n, left)
        for slot in range(neighbors.shape[1]):
            item = np.int64(neighbors[own, slot])
            if stamps[item] < stamp:
                stamps[item] = stamp
                n_scored += 1
                score = _dot(vectors, scales, item, proxy)
                sizes = _offer(kept, waiting, sizes, item, score, everything or allowed[item])
    order = np.argsort(-kept[0][: sizes[0]])
    return kept[1][order], n_scored


@_jit
def dots_of_rows(table: Any, rows: Any, proxy: Any) -> Any:
    """Multiply row by row."""
    products = np.empty(len(rows), np.float32)
    for place in range(len(rows)):
        products[place] = _dot(table[0], table[1], rows[place], proxy)
    return products
