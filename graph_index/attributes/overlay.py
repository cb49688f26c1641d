"""Attributes of a catalogue that has changed since its bundle was written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph_index.attributes.store import AttributeStore, content
from vizsla.contracts.filters import AttributeKind, Filter
from vizsla.vocabulary import Vocabulary

__all__ = ["OverlaidAttributes", "fitting"]

Bitmap = NDArray[np.bool_]

_MOST_KEPT = 64


class OverlaidAttributes:
    """What ``AttributeStore`` answers, with the rows of some items in place of its own.

    The bundle's part of a filter is compiled once and outlives every change; only the
    rows that changed are looked at again.  Safe to share between threads.

    Args:
        base: The bundle's attributes, of the first items.
        n_items: Number of items N now, at least the bundle's.
        rows: Called once, when a filter first comes: item number to ``item_id`` and attributes of
            the items that are new or changed.  A value that does not fit its column is none.
    """

    def __init__(
        self,
        base: AttributeStore,
        n_items: int,
        rows: Callable[[], Mapping[int, tuple[str, Mapping[str, Any]]]],
    ) -> None:
        self._base = base
        self._n_items = n_items
        self._rows = rows
        self._kept: dict[str, Bitmap] = {}
        self._lock = threading.Lock()

    @property
    def kinds(self) -> Mapping[str, AttributeKind]:
        """Attribute to what it holds: the bundle's columns."""
        return self._base.kinds

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
        nums, changed = self._changed
        made[nums] = changed.allowed(filters)
        made.flags.writeable = False
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            return self._kept.setdefault(key, made)

    @cached_property
    def _changed(self) -> tuple[NDArray[np.int64], AttributeStore]:
        rows = self._rows()
        ids = [item_id for item_id, _ in rows.values()]
        columns: dict[str, Any] = {"item_id": pa.array(ids, pa.string())}
        for field in self._base.schema:
            if field.name in self.kinds and field.name not in columns:
                values = [fitting(own.get(field.name), field.type) for _, own in rows.values()]
                columns[field.name] = pa.array(values, field.type)
        return np.array(list(rows), np.int64), AttributeStore(pa.table(columns), Vocabulary(ids))


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
