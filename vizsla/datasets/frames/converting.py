"""A batch of a customer's rows in the types of a frame, and what is wrong with which row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.roles import SEPARATOR
from vizsla.errors import DataError
from vizsla.fields.values import plain_text, text_column

__all__ = ["converted_field", "converted_label", "first_reasons"]

_LABELS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


def converted_label(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return labels as float32, and the reason to refuse each row, null for a good one."""
    text = _text(column).str.strip_chars().str.to_lowercase()
    values = text.replace_strict(_LABELS, default=None, return_dtype=pl.Float32)
    missing, wrong = f"label {column.name} is missing", f"label {column.name} is not 0 or 1"
    bad = pl.when(text.is_null() | (text == "")).then(pl.lit(missing)).otherwise(pl.lit(wrong))
    reasons = pl.select(pl.when(values.is_null()).then(bad)).to_series()
    return values.alias("label"), reasons


def converted_field(column: pl.Series, field: FieldSpec, path: Path) -> tuple[pl.Series, pl.Series]:
    """Return a column in the type of its field, and the reason to refuse each row.

    Raises:
        DataError: The whole column is of another kind.
    """
    if field.kind == "numeric":
        return _numbers(column, path)
    if field.is_list:
        return _lists(column, path)
    try:
        return text_column(column), _none(column)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def first_reasons(reasons: Sequence[pl.Series]) -> pl.Series:
    """Return the first reason of each row."""
    return pl.select(pl.coalesce(list(reasons))).to_series()


def _numbers(column: pl.Series, path: Path) -> tuple[pl.Series, pl.Series]:
    dtype = column.dtype
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64), _none(column)
    if dtype != pl.String:
        raise DataError(f"{path}: column {column.name!r} holds {dtype}; numbers are needed")
    text = column.str.strip_chars().replace("", None)
    numbers = text.cast(pl.Float64, strict=False)
    wrong = text.is_not_null() & numbers.is_null()
    return numbers, _reason(wrong, f"{column.name} is no number")


def _lists(column: pl.Series, path: Path) -> tuple[pl.Series, pl.Series]:
    dtype = column.dtype
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return column.cast(pl.List(pl.String)), _none(column)
    if dtype not in (pl.String, pl.Null):
        raise DataError(f"{path}: column {column.name!r} holds {dtype}; lists are needed")
    text = column.cast(pl.String).str.strip_chars().replace("", None)
    arrays = text.str.starts_with("[").fill_null(value=False)
    split = text.str.split(SEPARATOR).list.eval(pl.element().str.strip_chars())
    if not arrays.any():
        return split, _none(column)
    decoded = [
        _array(value) if value.startswith("[") else value.split(SEPARATOR)
        for value in text.fill_null("")
    ]
    lists = pl.Series(column.name, decoded, dtype=pl.List(pl.String))
    wrong = arrays & lists.is_null()
    return lists, _reason(wrong, f"{column.name} is no list of plain values")


def _array(text: str) -> list[str | None] | None:
    try:
        found: Any = json.loads(text)
        return [plain_text(value) for value in found]
    except (ValueError, TypeError, RecursionError):
        return None


def _text(column: pl.Series) -> pl.Series:
    """Return whatever a column holds as text."""
    if column.dtype.is_nested():
        return pl.Series([str(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String)


def _reason(wrong: pl.Series, text: str) -> pl.Series:
    return pl.select(pl.when(wrong).then(pl.lit(text))).to_series()


def _none(column: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(column))
