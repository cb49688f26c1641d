"""Interactions as arrays: what training and evaluation read.

Shapes: **U** users, **N** items, **Q** evaluation queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vizsla.contracts.features import Order
from vizsla.vocabulary import Vocabulary

__all__ = ["EncodedFeatures", "EvalCases", "Ragged", "Split"]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different length in two arrays.

    Attributes:
        offsets: ``(R + 1,)`` int64, ascending, from 0.
        values: ``(offsets[-1],)`` int64.

    Example:
        >>> rows = Ragged.from_lists([[3, 1], [], [2]])
        >>> len(rows), rows[0].tolist(), rows[1].tolist()
        (3, [3, 1], [])
    """

    offsets: NDArray[np.int64]
    values: NDArray[np.int64]

    @classmethod
    def from_lists(cls, rows: list[list[int]] | list[NDArray[np.int64]]) -> Ragged:
        """Concatenate rows."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        values = [np.asarray(row, np.int64) for row in rows if len(row)]
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate(values) if values else np.empty(0, np.int64),
        )

    @classmethod
    def from_groups(
        cls, row_of: NDArray[np.int64], values: NDArray[np.int64], n_rows: int
    ) -> Ragged:
        """Make ``n_rows`` rows of values that are grouped already.

        Args:
            row_of: ``(V,)`` int64 ascending: the row of each value.
            values: ``(V,)`` int64.
            n_rows: Number of rows, empty ones included.

        Example:
            >>> rows = Ragged.from_groups(np.array([0, 0, 2]), np.array([7, 8, 9]), 3)
            >>> [row.tolist() for row in rows]
            [[7, 8], [], [9]]
        """
        ends = np.cumsum(np.bincount(row_of, minlength=n_rows))
        return cls(np.concatenate([[0], ends]).astype(np.int64), values)

    @classmethod
    def empty(cls, n_rows: int) -> Ragged:
        """Make ``n_rows`` empty rows."""
        return cls(np.zeros(n_rows + 1, np.int64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> NDArray[np.int64]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(R,)`` int64 length of each row."""
        return np.diff(self.offsets)

    @property
    def row_of(self) -> NDArray[np.int64]:
        """``(V,)`` int64 row of each value."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def keys(self, n_columns: int) -> NDArray[np.int64]:
        """Return the distinct pairs ``row * n_columns + value``, ascending.

        Example:
            >>> Ragged.from_lists([[3, 1, 3], [0]]).keys(4).tolist()
            [1, 3, 4]
        """
        return np.unique(self.row_of * n_columns + self.values)

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Return the chosen rows, in the order asked for; a row may be asked for twice.

        Example:
            >>> rows = Ragged.from_lists([[3, 1], [], [2]]).take(np.array([2, 0]))
            >>> [row.tolist() for row in rows]
            [[2], [3, 1]]
        """
        return self.slices(self.offsets[rows], self.lengths[rows])

    def tail(self, size: int) -> Ragged:
        """Return the last ``size`` values of each row, or all where there are fewer.

        Example:
            >>> [row.tolist() for row in Ragged.from_lists([[3, 1, 4], [2]]).tail(2)]
            [[1, 4], [2]]
        """
        lengths = np.minimum(self.lengths, size)
        return self.slices(self.offsets[1:] - lengths, lengths)

    def slices(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Ragged:
        """Return rows ``values[start : start + length]``; they may overlap.

        Args:
            starts: ``(R,)`` int64 places in ``values``.
            lengths: ``(R,)`` int64, 0 or more.
        """
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Ragged(offsets, self.values[places])


@dataclass(frozen=True, slots=True)
class EncodedFeatures:
    """Side features as integer codes, code 0 = unknown or missing.

    Attributes:
        names: Column names, in order of the single-valued codes.
        values: Column name to its values; value ``i`` has code ``i + 1``.
        codes: ``(R, F)`` int64 codes of the single-valued columns.
        numeric: Those of ``names`` whose values are buckets of numbers.
        multi_names: Names of the multi-valued columns.
        multi: One ``Ragged`` of codes per multi-valued column.
    """

    names: tuple[str, ...]
    values: dict[str, list[str]]
    codes: NDArray[np.int64]
    numeric: frozenset[str] = frozenset()
    multi_names: tuple[str, ...] = ()
    multi: tuple[Ragged, ...] = ()


@dataclass(frozen=True, slots=True)
class EvalCases:
    """Queries whose answers are known.

    Attributes:
        user_nums: ``(Q,)`` int64 row of the user in ``Split.users``.
        histories: Q rows of item numbers, oldest first: what the model may see.
        targets: Q rows of item numbers: what it should find; never empty.
        seen: Q rows of item numbers removed from the candidates; empty rows where repeats count.
    """

    user_nums: NDArray[np.int64]
    histories: Ragged
    targets: Ragged
    seen: Ragged


@dataclass(frozen=True, slots=True)
class Split:
    """A dataset cut into training sequences and evaluation queries, in item numbers.

    Validation is carved from the training part; test is looked at once, at the end.

    Attributes:
        name: Dataset name.
        content_hash: Of the dataset directory.
        spec: How it was cut, as JSON-able settings.
        order: Whether histories have an order.
        items: Item identifiers; the row is the item number.
        users: User identifiers.
        train: U rows of item numbers, oldest first.
        validation: Queries for choices.
        test: Queries for reports.
        item_features: Side features of the N items, or None.
        user_features: Side features of the U users, or None.
        item_columns: The items' own columns as they came, N rows in order of the item numbers;
            None where nothing but their ids is known.
    """

    name: str
    content_hash: str
    spec: dict[str, Any]
    order: Order
    items: Vocabulary
    users: Vocabulary
    train: Ragged
    validation: EvalCases
    test: EvalCases
    item_features: EncodedFeatures | None = None
    user_features: EncodedFeatures | None = None
    item_columns: pa.Table | None = None

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.items)

    def item_counts(self) -> NDArray[np.int64]:
        """Return ``(N,)`` int64 training interactions of each item."""
        return np.bincount(self.train.values, minlength=self.n_items)
