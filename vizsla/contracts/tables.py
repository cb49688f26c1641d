"""What is computed of every item once, for a scorer to read rows of: one table per part of the score.

Shapes: **N** items, **C** rows asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "STORED",
    "GrowingTables",
    "ItemTables",
    "TableDtype",
    "TablesManifest",
    "narrowed",
    "tables_of",
]

TableDtype = Literal["float32", "bfloat16", "int8"]

STORED = {"float32": np.float32, "bfloat16": np.uint16, "int8": np.int8}
"""Type of the entries as they are kept; bfloat16 by its bit patterns."""
_NO_SCALE = np.empty(0, np.float32)


class TablesManifest(BaseModel):
    """What the tables of a bundle were computed from, so that others are refused.

    Attributes:
        dtype: How the values are stored.
        n_tables: Number of tables, that of the item vectors included.
        weights_hash: SHA-256 of the weights that made them.
        vectors_hash: SHA-256 of the item vectors that belong to them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: TableDtype
    n_tables: int = Field(ge=1)
    weights_hash: str
    vectors_hash: str


@dataclass(frozen=True, slots=True)
class ItemTables:
    """Tables with one row per item; the first holds the item vectors.

    Attributes:
        arrays: ``(N, ...)`` each: float32, or bfloat16 as its uint16 bit patterns, or int8.
        scales: ``(N,)`` float32 of each int8 table, what its row is multiplied with; else empty.
        dtype: Which of the three.
    """

    arrays: tuple[NDArray[Any], ...]
    scales: tuple[NDArray[np.float32], ...]
    dtype: TableDtype = "float32"

    def __post_init__(self) -> None:
        """Keep read-only views, mapped or not, so that compiled code meets one kind of array."""
        object.__setattr__(self, "arrays", tuple(map(_read_only, self.arrays)))
        object.__setattr__(self, "scales", tuple(map(_read_only, self.scales)))

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.arrays[0])

    @property
    def n_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(array.nbytes for array in (*self.arrays, *self.scales))

    def rows(self, number: int, item_nums: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return ``(C, ...)`` float32 rows of one table; a view where a slice of float32 allows it."""
        found = self.arrays[number][item_nums]
        if self.dtype == "float32":
            return np.asarray(found, np.float32)
        if self.dtype == "bfloat16":
            return (found.astype(np.uint32) << 16).view(np.float32)
        scale = self.scales[number][item_nums]
        return found * scale.reshape(-1, *[1] * (found.ndim - 1))


class GrowingTables:
    """A copy of tables with room for more rows, which are stored as the others are.

    Args:
        tables: The first rows.
        n_rows: Rows R in all; those not yet put are zero.

    Attributes:
        arrays: ``(R, ...)`` each, as they are stored.

    Example:
        >>> room = GrowingTables(tables_of([np.ones((1, 2), np.float32)], "int8"), 3)
        >>> room.put(np.array([1]), [np.array([[0.5, 0.0]], np.float32)])
        >>> room.first(2).rows(0, slice(None)).round(2).tolist()
        [[1.0, 1.0], [0.5, 0.0]]
    """

    def __init__(self, tables: ItemTables, n_rows: int) -> None:
        self._dtype = tables.dtype
        self.arrays = [_longer(array, n_rows) for array in tables.arrays]
        self._scales = [_longer(scale, n_rows) if len(scale) else scale for scale in tables.scales]

    def put(self, item_nums: NDArray[np.int64], tables: Sequence[NDArray[np.float32]]) -> None:
        """Write ``(C, ...)`` float32 rows of every table, in place: all that share them see it."""
        for number, values in enumerate(tables):
            self.arrays[number][item_nums], scale = narrowed(values, self._dtype)
            if len(scale):
                self._scales[number][item_nums] = scale

    def first(self, n_items: int) -> ItemTables:
        """Return the first rows, not copied."""
        arrays, scales = self.arrays, self._scales
        return ItemTables(
            tuple(array[:n_items] for array in arrays),
            tuple(scale[:n_items] for scale in scales),
            self._dtype,
        )


def _longer(array: NDArray[Any], n_rows: int) -> NDArray[Any]:
    made = np.zeros((n_rows, *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.setflags(write=False)
    return view


def tables_of(arrays: Sequence[NDArray[np.float32]], dtype: TableDtype = "float32") -> ItemTables:
    """Store float32 tables as a type.

    Example:
        >>> tables = tables_of([np.array([[1.0, -0.5], [0.25, 0.0]], np.float32)], "int8")
        >>> tables.rows(0, np.array([0])).round(2).tolist(), tables.n_bytes
        ([[1.0, -0.5]], 12)
    """
    stored = [narrowed(array, dtype) for array in arrays]
    return ItemTables(tuple(own for own, _ in stored), tuple(scale for _, scale in stored), dtype)


def narrowed(
    values: NDArray[np.float32], dtype: TableDtype
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return rows as they are stored, and their scales (empty but for int8).

    bfloat16 rounds to nearest, ties to even; int8 has one scale per row.
    """
    if dtype == "float32":
        return np.ascontiguousarray(values, STORED[dtype]), _NO_SCALE
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (rounded >> np.uint32(16)).astype(STORED[dtype]), _NO_SCALE
    flat = np.abs(values).reshape(len(values), -1).max(axis=1, initial=0)
    scales = np.maximum(flat / 127, np.finfo(np.float32).tiny).astype(np.float32)
    rounded = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1)))
    return np.clip(rounded, -127, 127).astype(STORED[dtype]), scales
