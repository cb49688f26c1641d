"""The deep score in one compiled pass: matrix products by BLAS, everything between them in cache.

Candidates are scored in blocks small enough that a block's intermediate values stay in the
processor's second-level cache; nothing is allocated per block and Python is not entered.
Shapes: **B** queries, **C** candidates, **D** vector size, **A** attention size, **H** width of the
first hidden layer, **L** history places of one query, **W** input of that layer, ``3 D + 9``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

__all__ = ["deep_scores"]

_BLOCK = 192
_N_FEATURES = 9
_SHARPNESS = np.float32(8.0)
_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_SMALLEST = np.float32(-87.0)
_EPSILON = np.float32(1e-5)

_jit = numba.njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})


def _gather(table: Any, scales: Any, rows: Any, out: Any) -> None:
    """Copy rows of a table as float32, whatever it is stored as."""


@overload(_gather, jit_options={"fastmath": True, "nogil": True})
def _gather_of(table: Any, scales: Any, rows: Any, out: Any) -> Callable[..., None]:
    return {types.uint16: _from_bfloat16, types.int8: _from_int8}.get(table.dtype, _from_float32)


def _from_float32(table: Any, scales: Any, rows: Any, out: Any) -> None:
    for place in range(len(rows)):
        row = rows[place]
        for column in range(table.shape[1]):
            out[place, column] = table[row, column]


def _from_bfloat16(table: Any, scales: Any, rows: Any, out: Any) -> None:
    bits = out.view(np.uint32)
    for place in range(len(rows)):
        row = rows[place]
        for column in range(table.shape[1]):
            bits[place, column] = np.uint32(table[row, column]) << np.uint32(16)


def _from_int8(table: Any, scales: Any, rows: Any, out: Any) -> None:
    for place in range(len(rows)):
        row = rows[place]
        scale = scales[row]
        for column in range(table.shape[1]):
            out[place, column] = scale * np.float32(table[row, column])


@_jit
def _exponentiate(values: Any, bits: Any, size: int) -> None:
    """Replace ``values[:size]``, at most 88, by their exponentials, relative error 2e-7."""
    powers = bits.view(np.float32)
    for place in range(size):
        x = max(values[place], _SMALLEST)
        whole = np.floor(x * _LOG2E + np.float32(0.5))
        rest = x - whole * _LN2_HIGH - whole * _LN2_LOW
        poly = np.float32(1.9875691500e-4)
        poly = poly * rest + np.float32(1.3981999507e-3)
        poly = poly * rest + np.float32(8.3334519073e-3)
        poly = poly * rest + np.float32(4.1665795894e-2)
        poly = poly * rest + np.float32(1.6666665459e-1)
        poly = poly * rest + np.float32(5.0000001201e-1)
        values[place] = poly * rest * rest + rest + np.float32(1.0)
        bits[place] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    for place in range(size):
        values[place] *= powers[place]


@_jit
def _attend(logits: Any, cosines: Any, n: int, length: int, work: Any, features: Any) -> None:
    """Fill ``work[0]`` with softmax numerators and the features that pool over the history.

    ``logits`` and ``cosines`` end in the columns that are dot products with pooled histories.
    """
    weights, sharp, bits = work
    for row in range(n):
        top, highest = np.float32(-3e38), np.float32(-3e38)
        for place in range(length):
            top = max(top, logits[row, place])
            highest = max(highest, cosines[row, place])
        for place in range(length):
            weights[row * length + place] = logits[row, place] - top
            sharp[row * length + place] = _SHARPNESS * (cosines[row, place] - highest)
        features[row, 1] = highest
        features[row, 3] = top
    _exponentiate(weights, bits, n * length)
    _exponentiate(sharp, bits, n * length)
    for row in range(n):
        total, mass = np.float32(0), np.float32(0)
        for place in range(length):
            total += weights[row * length + place]
            mass += sharp[row * length + place]
        features[row, 0] = np.float32(1) / total
        features[row, 2] = features[row, 1] + np.log(mass) / _SHARPNESS
        features[row, 3] += np.log(total)


@_jit
def _fill_input(vectors: Any, context: Any, features: Any, n: int, x: Any) -> None:
    """Write ``[e, c, c * e, features]``; ``features[:, 0]`` comes in as the factor of ``c``."""
    size = vectors.shape[1]
    for row in range(n):
        factor, product = features[row, 0], np.float32(0)
        for column in range(size):
            own, other = vectors[row, column], factor * context[row, column]
            x[row, column] = own
            x[row, size + column] = other
            x[row, 2 * size + column] = own * other
            product += own * other
        features[row, 0] = product
        for column in range(features.shape[1]):
            x[row, 3 * size + column] = features[row, column]


@_jit
def _normalise(hidden: Any, first: Any, user: Any, gain: Any, bias: Any, n: int) -> None:
    """Add the item's and the user's part, then LayerNorm and ReLU, in place."""
    width = hidden.shape[1]
    for row in range(n):
        total, squares = np.float32(0), np.float32(0)
        for column in range(width):
            value = hidden[row, column] + first[row, column] + user[column]
            hidden[row, column] = value
            total += value
        mean = total / np.float32(width)
        for column in range(width):
            gap = hidden[row, column] - mean
            squares += gap * gap
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + _EPSILON)
        for column in range(width):
            value = (hidden[row, column] - mean) * factor * gain[column] + bias[column]
            hidden[row, column] = max(value, np.float32(0))


@_jit
def _through_layers(hidden: Any, n: int, widths: Any, layers: Any, spare: Any) -> Any:
    """Apply the further hidden layers, ``layers`` holding weight and bias of each in turn."""
    at, now = 0, hidden
    for number in range(len(widths) - 1):
        n_in, n_out = widths[number], widths[number + 1]
        weight = layers[at : at + n_in * n_out].reshape(n_in, n_out)
        bias = layers[at + n_in * n_out : at + (n_in + 1) * n_out]
        at += (n_in + 1) * n_out
        then = spare[number % 2][: n * n_out].reshape(n, n_out)
        np.dot(now, weight, then)
        for row in range(n):
            for column in range(n_out):
                then[row, column] = max(then[row, column] + bias[column], np.float32(0))
        now = then
    return now


@_jit
def _answer(
    hidden: Any, features: Any, n: int, out_weight: Any, direct: Any, scale: float, out: Any
) -> None:
    """Write ``two-sided + scale * (w . hidden + b + w_m . features)``; ``out`` holds the former."""
    width, n_features = hidden.shape[1], features.shape[1]
    for row in range(n):
        total = out_weight[width]
        for column in range(width):
            total += hidden[row, column] * out_weight[column]
        for column in range(n_features):
            total += features[row, column] * direct[column]
        out[row] += scale * total


@_jit
def _room(longest: int, shape: Any, widest: int) -> Any:
    """Allocate what one block needs: candidates' rows, products with the history, net inputs."""
    size, asked, width, n_inputs = shape
    pooled = _BLOCK * (longest + 3)
    rows = (
        np.empty((_BLOCK, size), np.float32),
        np.empty((_BLOCK, asked), np.float32),
        np.empty((_BLOCK, width), np.float32),
    )
    products = (np.empty(pooled, np.float32), np.empty(pooled, np.float32))
    work = (
        np.empty(pooled, np.float32),
        np.empty(pooled, np.float32),
        np.empty(pooled, np.int32),
    )
    inputs = (
        np.empty((_BLOCK, size), np.float32),
        np.empty((_BLOCK, _N_FEATURES), np.float32),
        np.empty((_BLOCK, n_inputs), np.float32),
        np.empty((_BLOCK, width), np.float32),
    )
    spare = (np.empty(_BLOCK * widest, np.float32), np.empty(_BLOCK * widest, np.float32))
    return rows, products, work, inputs, spare


@_jit
def _user(users: Any, query: int, size: int, asked: int) -> Any:
    """Cut one user out of the flat arrays."""
    lengths, values, keys, plain, starts, parts, weights = users
    length, at = lengths[query], starts[query]
    return (
        values[at[0] : at[0] + size * (length + 3)].reshape(size, length + 3),
        keys[at[1] : at[1] + asked * (length + 2)].reshape(asked, length + 2),
        plain[at[2] : at[2] + length * size].reshape(length, size),
        parts[query],
        weights[query],
    )


@_jit
def _match(room: Any, user: Any, n: int, temperature: float, scores: Any) -> None:
    """Fill context and features of a block, and its two-sided scores."""
    (vectors, queries, _), (cosines_of, logits_of), work, (context, features, _, _), _ = room
    value, key, place, _, _ = user
    length = len(place)
    cosines = cosines_of[: n * (length + 3)].reshape(n, length + 3)
    logits = logits_of[: n * (length + 2)].reshape(n, length + 2)
    np.dot(vectors[:n], value, cosines)
    np.dot(queries[:n], key, logits)
    if length:
        _attend(logits, cosines, n, length, work, features)
        np.dot(work[0][: n * length].reshape(n, length), place, context[:n])
    else:
        context[:n] = 0
        features[:n] = 0
    for row in range(n):
        features[row, 4] = cosines[row, length]
        features[row, 5] = cosines[row, length + 1]
        features[row, 6] = logits[row, length]
        features[row, 7] = logits[row, length + 1]
        scores[row] = cosines[row, length + 2]
        features[row, 8] = scores[row] * temperature


@_jit
def _score_block(
    tables: Any, scales: Any, nums: Any, user: Any, net: Any, room: Any, scores: Any
) -> None:
    """Score at most ``_BLOCK`` candidates of one user."""
    gain, bias, widths, layers, out_weight, direct, scale, temperature = net
    (vectors, queries, first), _, _, (context, features, x, hidden), spare = room
    n = len(nums)
    _gather(tables[0], scales[0], nums, vectors)
    _gather(tables[1], scales[1], nums, queries)
    _gather(tables[2], scales[2], nums, first)
    _match(room, user, n, temperature, scores)
    _fill_input(vectors[:n], context[:n], features, n, x)
    np.dot(x[:n], user[4], hidden[:n])
    _normalise(hidden, first, user[3], gain, bias, n)
    last = _through_layers(hidden[:n], n, widths, layers, spare)
    _answer(last, features, n, out_weight, direct, scale, scores)


@_jit
def deep_scores(
    tables: Any, scales: Any, rows: Any, bounds: Any, users: Any, net: Any, out: Any
) -> None:
    """Score a ragged batch of candidates.

    Args:
        tables: Item vectors ``(N, D)``, attention queries ``(N, A)`` and first-layer parts
            ``(N, H)``; float32, bfloat16 bits as uint16, or int8.
        scales: ``(N,)`` float32 of each int8 table; anything otherwise.
        rows: ``(C,)`` int64 items, grouped by query.
        bounds: ``(B + 1,)`` int64 start of each query's candidates.
        users: Lengths ``(B,)``; flat values with pooled columns ``(D, L + 3)``, keys
            ``(A, L + 2)`` and plain values ``(L, D)``, with the starts ``(B, 3)`` of each; user
            parts ``(B, H)``; weights of the first layer ``(B, W, H)``.
        net: Gain and bias of the LayerNorm, widths, further layers, output weight with bias,
            direct weights, deep scale, temperature.
        out: ``(C,)`` float32, overwritten.
    """
    size, asked, width = tables[0].shape[1], tables[1].shape[1], tables[2].shape[1]
    room = _room(users[0].max(), (size, asked, width, users[6].shape[1]), net[2].max())
    for query in range(len(users[0])):
        user = _user(users, query, size, asked)
        for start in range(bounds[query], bounds[query + 1], _BLOCK):
            stop = min(start + _BLOCK, bounds[query + 1])
            nums, scores = rows[start:stop], out[start:stop]
            _score_block(tables, scales, nums, user, net, room, scores)
