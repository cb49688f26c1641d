"""One attribute of all items, in the form that its conditions are computed from.

Shapes: **N** items, **V** distinct values, **P** (item, value) pairs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vizsla.contracts.filters import AttributeKind
from vizsla.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Column", "IdColumn", "ScalarColumn", "TextColumn", "kind_of", "open_column"]

Value = str | int | float | bool

_COMPARE: Mapping[str, Callable[..., NDArray[np.bool_]]] = {
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
}


class Column(Protocol):
    """Answers each operator with an ``(N,)`` bitmap of its own, which the caller may change."""

    def having(self, values: Sequence[Value], *, every: bool = False) -> NDArray[np.bool_]:
        """Return the items with one of the values, or with every one of them."""
        ...

    def known(self) -> NDArray[np.bool_]:
        """Return the items that have a value."""
        ...


class TextColumn:
    """Text, one or several per item, as a list of items per value.

    Sorted by value, so that a condition costs as much as it matches, not as the catalogue has.
    4 bytes per (item, value) pair, and the distinct values.

    Example:
        >>> column = TextColumn(pa.array([["a", "b"], None, ["b"]]))
        >>> column.having(["b"]).tolist(), column.having(["a", "b"], every=True).tolist()
        ([True, False, True], [True, False, False])
    """

    def __init__(self, values: pa.Array) -> None:
        self._n_items = len(values)
        rows, texts = _pairs(values)
        encoded = pc.dictionary_encode(texts)
        order = pc.sort_indices(encoded.dictionary)
        self._values = encoded.dictionary.take(order)
        rank = np.empty(len(order), np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        codes = rank[encoded.indices.to_numpy()]
        pairs = np.sort(codes * self._n_items + rows)
        # an item that names a value twice has it once; np.unique is several times slower
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]]
        self._rows = (pairs % self._n_items).astype(np.int32) if len(pairs) else pairs
        counts = np.bincount(pairs // max(1, self._n_items), minlength=len(order))
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def having(self, values: Sequence[Value], *, every: bool = False) -> NDArray[np.bool_]:
        """Return the items with one of the values, or with every one of them."""
        return _marked(map(self._rows_of, set(values)), self._n_items, len(set(values)), every)

    def known(self) -> NDArray[np.bool_]:
        """Return the items that have a value."""
        return _marked([self._rows], self._n_items, 1, False)

    def _rows_of(self, value: Value) -> NDArray[np.int32]:
        code = bisect_left(_Texts(self._values), str(value))
        if code == len(self._values) or self._values[code].as_py() != value:
            return np.empty(0, np.int32)
        rows: NDArray[np.int32] = self._rows[self._starts[code] : self._starts[code + 1]]
        return rows


class IdColumn:
    """Item ids, looked up in the vocabulary."""

    def __init__(self, ids: Vocabulary) -> None:
        self._ids = ids

    def having(self, values: Sequence[Value], *, every: bool = False) -> NDArray[np.bool_]:
        """Return the items with one of the ids; no item has two."""
        nums = self._ids.nums(dict.fromkeys(map(str, values)))
        rows = ([num] if num != UNKNOWN else [] for num in nums.tolist())
        if every:
            return _marked(rows, len(self._ids), len(nums), True)
        return _marked([nums[nums != UNKNOWN]], len(self._ids), 1, False)

    def known(self) -> NDArray[np.bool_]:
        """Return all items."""
        return np.ones(len(self._ids), np.bool_)


class ScalarColumn:
    """Numbers, booleans or times (as Unix seconds), compared item by item.

    8 bytes an item; a comparison of a million items takes about a millisecond.

    Example:
        >>> column = ScalarColumn(pa.array([5, None, 20]))
        >>> column.within("gt", 5).tolist(), column.having([20]).tolist()
        ([False, False, True], [False, False, True])
    """

    def __init__(self, values: pa.Array) -> None:
        self._known = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
        self._values = np.asarray(
            pc.fill_null(_plain(values), _zero(values.type)).to_numpy(zero_copy_only=False)
        )
        if self._values.dtype.kind == "f":
            self._known &= np.isfinite(self._values)

    def having(self, values: Sequence[Value], *, every: bool = False) -> NDArray[np.bool_]:
        """Return the items with one of the values; no item has two."""
        distinct = list(dict.fromkeys(values))
        if every and len(distinct) != 1:
            return self.known() if not distinct else np.zeros(len(self._values), np.bool_)
        found: NDArray[np.bool_] = self.known()
        found &= np.isin(self._values, np.asarray(distinct))
        return found

    def within(self, operator: str, bound: float) -> NDArray[np.bool_]:
        """Return the items on the right side of a bound: ``gt``, ``gte``, ``lt`` or ``lte``."""
        inside: NDArray[np.bool_] = self._known & _COMPARE[operator](self._values, bound)
        return inside

    def known(self) -> NDArray[np.bool_]:
        """Return the items that have a value."""
        return self._known.copy()


def kind_of(values: pa.DataType) -> AttributeKind | None:
    """Return what a column of this type holds, None where no filter can read it."""
    types = pa.types
    if types.is_dictionary(values):
        return kind_of(values.value_type)
    if types.is_boolean(values):
        return AttributeKind.BOOLEAN
    if types.is_integer(values) or types.is_floating(values) or types.is_decimal(values):
        return AttributeKind.NUMBER
    if types.is_date(values) or types.is_timestamp(values):
        return AttributeKind.NUMBER
    if _is_list(values):
        return AttributeKind.TEXT if kind_of(values.value_type) else None
    return AttributeKind.TEXT if _is_text(values) else None


def open_column(values: pa.ChunkedArray) -> TextColumn | ScalarColumn:
    """Build the column of an attribute whose ``kind_of`` is known."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return TextColumn(array) if kind_of(array.type) is AttributeKind.TEXT else ScalarColumn(array)


class _Texts(Sequence[str]):
    """Sorted text where it lies, for bisection without a copy."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: int) -> str:  # type: ignore[override]  # never a slice
        text: str = self._values[place].as_py()
        return text


def _marked(
    rows: Iterable[Sequence[int] | NDArray[np.integer]],
    n_items: int,
    n_values: int,
    every: bool,  # noqa: FBT001
) -> NDArray[np.bool_]:
    """Mark the items that occur in one of some lists, or in every one of them."""
    if not every:
        found = np.zeros(n_items, np.bool_)
        for some in rows:
            found[some] = True
        return found
    lists = [np.asarray(some, np.int64) for some in rows]
    together = np.concatenate(lists) if lists else np.empty(0, np.int64)
    complete: NDArray[np.bool_] = np.bincount(together, minlength=n_items) == n_values
    return complete


def _pairs(values: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return the item and the text of every value that is there."""
    if _is_list(values.type):
        rows = np.asarray(pc.list_parent_indices(values).to_numpy(), np.int64)
        texts = pc.cast(pc.list_flatten(values), pa.string())
    else:
        rows, texts = np.arange(len(values)), pc.cast(values, pa.string())
    there = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    return rows[there], texts.drop_null()


def _plain(values: pa.Array) -> pa.Array:
    """Return integers, floats or booleans; a time becomes Unix seconds."""
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        us = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        return pc.divide(pc.cast(us, pa.float64()), 1e6)
    return pc.cast(values, pa.float64()) if pa.types.is_decimal(values.type) else values


def _is_list(values: pa.DataType) -> bool:
    return bool(pa.types.is_list(values) or pa.types.is_large_list(values))


def _is_text(values: pa.DataType) -> bool:
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values))


def _zero(values: pa.DataType) -> bool | int:
    return False if pa.types.is_boolean(values) else 0
