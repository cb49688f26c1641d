"""Values as they come, from a table's column or from a request, in one form before they are coded.

Text is the form of everything that is no number: ``1``, ``1.0`` and ``"1"`` are the same value,
``True`` is ``"true"``.  Nothing is missing twice: null, NaN and empty text are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.errors import DataError
from vizsla.fields.digits import decimal_text

__all__ = [
    "Texts",
    "column_texts",
    "list_column",
    "lists",
    "number_column",
    "numbers",
    "plain_text",
    "text_column",
    "texts",
]

_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_LOWEST = -(2**63)
_AS_TEXT = (pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time, pl.Duration, pl.Boolean)


@dataclass(frozen=True, slots=True)
class Texts:
    """B texts side by side.

    Attributes:
        buffer: ``(bytes,)`` uint8, UTF-8 of all.
        offsets: ``(B + 1,)`` int64 into the buffer.  An empty text is a missing one.
    """

    buffer: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def missing(self) -> NDArray[np.bool_]:
        """``(B,)`` which are missing."""
        missing: NDArray[np.bool_] = self.offsets[1:] == self.offsets[:-1]
        return missing

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Texts:
        """Lay texts side by side."""
        encoded = [(value or "").encode() for value in values]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    @classmethod
    def of_integers(cls, column: pl.Series) -> Texts:
        """Lay whole numbers side by side as their decimal text."""
        present = column.is_not_null().to_numpy()
        return cls(*decimal_text(column.fill_null(0).cast(pl.Int64).to_numpy(), present))

    @classmethod
    def of_column(cls, column: pl.Series) -> Texts:
        """Lay a column of text side by side."""
        array = column.fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, buffer = array.buffers()
        if not len(column):
            return cls(np.empty(0, np.uint8), np.zeros(1, np.int64))
        places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        held = np.empty(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)
        return cls(held, places)


def text_column(column: pl.Series) -> pl.Series:
    """Return a column as text, null where there is nothing.

    Raises:
        DataError: Its type is no plain one.
    """
    dtype = column.dtype
    if dtype.is_decimal():
        column, dtype = column.cast(pl.Float64), pl.Float64()
    if dtype.is_float():
        return _float_texts(column)
    if dtype.is_integer() or dtype in _AS_TEXT or dtype == pl.Null:
        return column.cast(pl.String)
    if dtype == pl.String:
        return column.replace("", None) if (column == "").any() else column
    raise DataError(f"column {column.name!r} holds {dtype}; text or numbers are needed")


def column_texts(column: pl.Series) -> Texts:
    """Return a column as texts.

    Raises:
        DataError: Its type is no plain one.
    """
    if column.dtype in _INTEGERS and column.min() != _LOWEST:  # which has no counterpart
        return Texts.of_integers(column)
    return Texts.of_column(text_column(column))


def _float_texts(column: pl.Series) -> pl.Series:
    values = column.fill_nan(None)
    distinct = values.unique().drop_nulls()
    names = [plain_text(value) for value in distinct.cast(pl.Float64).to_list()]
    return values.replace_strict(distinct, pl.Series(names, dtype=pl.String), default=None)


def plain_text(value: Any) -> str | None:
    """Return one value as text, None where there is nothing.

    Raises:
        TypeError: It is neither text, nor a number, nor true or false.

    Example:
        >>> [plain_text(value) for value in ("a", 1, 1.0, 1.5, True, "", float("nan"), None)]
        ['a', '1', '1', '1.5', 'true', None, None, None]
    """
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, str | int):
        return str(value)
    raise TypeError(f"{type(value).__name__}; text or a number is needed")


def texts(values: Sequence[Any]) -> Texts:
    """Return values as texts.

    Raises:
        TypeError: One is neither text nor a number.
    """
    return Texts.of([v if type(v) is str else plain_text(v) for v in values])


def number_column(column: pl.Series) -> NDArray[np.float64]:
    """Return ``(B,)`` numbers, NaN where there is nothing.

    Raises:
        DataError: It is a column of something else.
    """
    dtype = column.dtype
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"column {column.name!r} holds {dtype}; numbers are needed")
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return ``(B,)`` numbers, NaN where there is nothing.

    Raises:
        TypeError: One is no number.
    """
    return np.array([_number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__}; a number is needed")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits: as large as can be
        return float("inf") if value > 0 else float("-inf")


def list_column(column: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the values of all rows as text, and ``(B,)`` how many each row has.

    Raises:
        DataError: It is no column of lists of plain values.
    """
    if column.dtype == pl.Null:
        return pl.Series(column.name, [], pl.String), np.zeros(len(column), np.int64)
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List):
        raise DataError(f"column {column.name!r} holds {column.dtype}; lists are needed")
    lengths = column.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    values = column.filter(column.list.len().fill_null(0) > 0).explode()
    return text_column(values), lengths


def lists(values: Sequence[Any]) -> tuple[Texts, NDArray[np.int64]]:
    """Return the values of all rows, and ``(B,)`` how many each row has; None is an empty list.

    Raises:
        TypeError: One is no list of plain values.
    """
    of_rows = [_list(value) for value in values]
    flat = [value for row in of_rows for value in row]
    return texts(flat), np.fromiter(map(len, of_rows), np.int64, len(of_rows))


def _list(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return value
    raise TypeError(f"{type(value).__name__}; a list is needed")
