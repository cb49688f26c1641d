"""Attributes of a catalogue that has changed since its bundle was written."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph_index.attributes.store import AttributeStore, content
from vizsla.contracts.filters import AttributeKind, Filter
from vizsla.vocabulary import Vocabulary

__all__ = ["OverlaidAttributes", "fitting"]

Bitmap = NDArray[np.bool_]
Row = tuple[str, Mapping[str, Any]]

_MOST_KEPT = 64


class _Block:
    """Rows that changes gave, in a store of their own, so that filters on them are kept."""

    def __init__(self, nums: NDArray[np.int64], table: pa.Table) -> None:
        self.nums = nums
        self._table = table
        self._ids = table.column("item_id").to_pylist()
        self.store = AttributeStore(table, Vocabulary(self._ids))

    def under(self, other: _Block) -> _Block:
        """Return one block of both; an item, or a place, of the other is dropped here."""
        moved = set(other._ids)
        kept = ~np.isin(self.nums, other.nums)
        kept &= np.array([id_ not in moved for id_ in self._ids], np.bool_)
        table = pa.concat_tables([self._table.filter(pa.array(kept)), other._table])
        return _Block(np.concatenate([self.nums[kept], other.nums]), table)


class OverlaidAttributes:
    """What ``AttributeStore`` answers, with the rows of some items in place of its own.

    The bundle's part of a filter is compiled once and outlives every change.  Changed rows
    are in blocks, each at least twice as long as the next, so that a change pays for its
    own rows and, now and then, for a merge.  A state never changes, and is safe to share
    between threads; ``changed`` makes the next one.

    Args:
        base: The bundle's attributes, of the first items.
        n_items: Number of items N now, at least the bundle's.
    """

    def __init__(self, base: AttributeStore, n_items: int) -> None:
        self._base = base
        self._n_items = n_items
        self._blocks: tuple[_Block, ...] = ()
        self._kept: dict[str, Bitmap] = {}
        self._lock = threading.Lock()

    @property
    def kinds(self) -> Mapping[str, AttributeKind]:
        """Attribute to what it holds: the bundle's columns."""
        return self._base.kinds

    @property
    def n_rows(self) -> tuple[int, ...]:
        """Rows per block, the oldest first."""
        return tuple(len(block.nums) for block in self._blocks)

    def changed(self, n_items: int, rows: Mapping[int, Row]) -> OverlaidAttributes:
        """Return the state after further rows were changed.

        Args:
            n_items: Number of items N after it.
            rows: Item number to ``item_id`` and attributes; a value that does not fit its
                column is none.
        """
        if n_items == self._n_items and not rows:
            return self
        after = OverlaidAttributes(self._base, n_items)
        after._blocks = self._blocks
        if rows:
            after._blocks = _merged([*self._blocks, self._block(rows)])
        return after

    def allowed(self, filters: Sequence[Filter]) -> Bitmap:
        """Return the ``(N,)`` read-only bitmap of the items for which every filter holds.

        Raises:
            InvalidRequestError: An attribute is unknown, or an operator or value does not fit it.
        """
        key = content(filters)
        found = self._kept.get(key)
        if found is not None:
            return found
        made = np.zeros(self._n_items, np.bool_)
        made[: self._base.n_items] = self._base.allowed(filters)
        for block in self._blocks:
            made[block.nums] = block.store.allowed(filters)
        made.flags.writeable = False
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            return self._kept.setdefault(key, made)

    def _block(self, rows: Mapping[int, Row]) -> _Block:
        ids = [item_id for item_id, _ in rows.values()]
        columns: dict[str, Any] = {"item_id": pa.array(ids, pa.string())}
        for field in self._base.schema:
            if field.name in self.kinds and field.name not in columns:
                values = [fitting(own.get(field.name), field.type) for _, own in rows.values()]
                columns[field.name] = pa.array(values, field.type)
        return _Block(np.array(list(rows), np.int64), pa.table(columns))


def _merged(blocks: list[_Block]) -> tuple[_Block, ...]:
    while len(blocks) > 1 and len(blocks[-2].nums) < 2 * len(blocks[-1].nums):
        newest = blocks.pop()
        blocks[-1] = blocks[-1].under(newest)
    return tuple(blocks)


def fitting(value: object, kind: pa.DataType) -> object:
    """Return a value as a column's type holds it, None where it does not fit.

    Example:
        >>> fitting("a", pa.list_(pa.string())), fitting("a", pa.float64()), fitting(2, pa.float64())
        (['a'], None, 2.0)
    """
    if pa.types.is_dictionary(kind):
        return fitting(value, kind.value_type)
    many = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    wrapped = [value] if many and value is not None and not isinstance(value, list) else value
    try:
        return pa.scalar(wrapped, kind).as_py()
    except (pa.ArrowException, TypeError, ValueError):
        return None
