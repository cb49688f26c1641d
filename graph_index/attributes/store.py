"""Filters compiled into bitmaps over item numbers, once per request and then from memory."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph_index.attributes.columns import IdColumn, ScalarColumn, TextColumn, kind_of, open_column
from vizsla.contracts.filters import AttributeKind, Filter, filter_problems
from vizsla.errors import InvalidRequestError
from vizsla.vocabulary import Vocabulary

__all__ = ["AttributeStore", "content"]

_ID = "item_id"
_NOT_ATTRIBUTES = frozenset({"item_num"})
_MOST_COMPILED = 1024
_COMPILED_BYTES = 64 << 20

Bitmap = NDArray[np.bool_]


class AttributeStore:
    """The attributes of a catalogue of N items; safe to share between threads.

    A column is built when a filter first names it, or by ``prepare``.  Compiled filters are
    kept by their content, the least used dropped first, within 64 MiB.

    Args:
        items: N rows in order of the item numbers, as ``items.parquet`` of a bundle has them.
        ids: Their ids in the same order.

    Example:
        >>> items = pa.table({"item_id": ["a", "b"], "price": [5, 20]})
        >>> store = AttributeStore(items, Vocabulary(["a", "b"]))
        >>> store.allowed([Filter.model_validate({"attribute": "price", "gt": 5})]).tolist()
        [False, True]
    """

    def __init__(self, items: pa.Table, ids: Vocabulary) -> None:
        self._items = items
        self._ids = ids
        self._columns: dict[str, TextColumn | ScalarColumn | IdColumn] = {_ID: IdColumn(ids)}
        self._compiled: OrderedDict[bytes, Bitmap] = OrderedDict()
        self._most_compiled = max(1, min(_MOST_COMPILED, _COMPILED_BYTES // max(1, len(ids))))
        self._lock = threading.Lock()
        kinds = {name: kind_of(items.schema.field(name).type) for name in items.column_names}
        self.kinds: Mapping[str, AttributeKind] = {
            name: kind
            for name, kind in kinds.items()
            if kind is not None and name not in _NOT_ATTRIBUTES
        } | {_ID: AttributeKind.TEXT}

    @property
    def schema(self) -> pa.Schema:
        """Columns and types of the items."""
        return self._items.schema

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self._ids)

    def prepare(self, names: Sequence[str]) -> None:
        """Build columns ahead of the first filter that names them."""
        for name in names:
            self._column(name)

    def allowed(self, filters: Sequence[Filter]) -> Bitmap:
        """Return the ``(N,)`` read-only bitmap of the items for which every filter holds.

        Equal filters get the same array as long as it is kept.

        Raises:
            InvalidRequestError: An attribute is unknown, or an operator or value does not fit it.
        """
        return self._kept(content(filters), lambda: self._checked(filters))

    def _checked(self, filters: Sequence[Filter]) -> Bitmap:
        problems = tuple(filter_problems(filters, self.kinds))
        if problems:
            raise InvalidRequestError(f"{problems[0].pointer}: {problems[0].detail}", problems)
        return self._all(filters)

    def _all(self, filters: Sequence[Filter]) -> Bitmap:
        together = np.ones(self.n_items, np.bool_)
        for one in filters:
            together &= self._one(one)
        return together

    def _any(self, filters: Sequence[Filter]) -> Bitmap:
        together = np.zeros(self.n_items, np.bool_)
        for one in filters:
            together |= self._one(one)
        return together

    def _one(self, one: Filter) -> Bitmap:
        """Compile one filter; requests that differ share what they have in common."""
        return self._kept(content([one]), lambda: self._compile(one))

    def _compile(self, one: Filter) -> Bitmap:
        match one.group:
            case ("all", members):
                return self._all(members)
            case ("any", members):
                return self._any(members)
            case ("none", members):
                return ~self._any(members)
            case _:
                return self._condition(one)

    def _condition(self, one: Filter) -> Bitmap:
        column = self._column(one.attribute or "")
        together = np.ones(self.n_items, np.bool_)
        for operator in one.operators:
            together &= _holds(column, operator, one.values_of(operator))
        return together

    def _kept(self, text: str, compile_it: Callable[[], Bitmap]) -> Bitmap:
        key = hashlib.sha256(text.encode()).digest()  # a list of ids is long
        with self._lock:
            found = self._compiled.get(key)
            if found is not None:
                self._compiled.move_to_end(key)
                return found
        made = compile_it()
        made.flags.writeable = False
        with self._lock:
            made = self._compiled.setdefault(key, made)
            while len(self._compiled) > self._most_compiled:
                self._compiled.popitem(last=False)
        return made

    def _column(self, name: str) -> TextColumn | ScalarColumn | IdColumn:
        column = self._columns.get(name)
        if column is None:
            column = self._columns.setdefault(name, open_column(self._items.column(name)))
        return column


def content(filters: Sequence[Filter]) -> str:
    """Return a text that is the same for equal filters and for no others."""
    return "\n".join(one.model_dump_json(exclude_none=True) for one in filters)


def _holds(
    column: TextColumn | ScalarColumn | IdColumn, operator: str, values: Sequence[Any]
) -> Bitmap:
    found: Bitmap
    match operator:
        case "none_of":
            found = ~column.having(values)
        case "exists":
            found = column.known() == values[0]
        case "gt" | "gte" | "lt" | "lte" if isinstance(column, ScalarColumn):
            found = column.within(operator, values[0])
        case _:
            found = column.having(values, every=operator == "all_of")
    return found
