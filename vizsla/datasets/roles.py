"""What the further columns mean: inferred from all their values, or pinned by the customer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from vizsla.contracts.features import ColumnRole, SideFeature
from vizsla.datasets.base import LINE
from vizsla.errors import DataError

__all__ = ["MAX_CATEGORIES", "MIXED_RATIO", "SEPARATOR", "assign_roles", "infer_role"]

SEPARATOR = "|"
"""Between the values of a multi-valued column in CSV."""

MAX_CATEGORIES = 10_000
FEW_CATEGORIES = 50
MAX_CATEGORY_CHARACTERS = 64
MULTI_RATIO = 0.1
MIXED_RATIO = 0.9
"""From this share of numbers on, text among them is taken for a mistake."""

_LEADING_ZERO = r"^0\d"
_JSON_ARRAY = r"^\[.*\]$"
_KEPT = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Duration)


def assign_roles(
    frame: pl.DataFrame, fixed: set[str], pinned: Mapping[str, ColumnRole], path: Path
) -> tuple[pl.DataFrame, list[SideFeature]]:
    """Give every further column a role and the type that goes with it.

    Args:
        frame: Rows of one file with ``LINE``.
        fixed: Columns that have a meaning of their own and stay as they are.
        pinned: Roles that the customer chose.
        path: The file, for messages.

    Returns:
        The frame with converted columns, those of no plain type left out, and the roles in
        order of the columns.

    Raises:
        DataError: A pinned column is missing or does not fit its role, or a column mixes
            numbers and text.
    """
    further = [name for name in frame.columns if name not in fixed | {LINE}]
    missing = [name for name in pinned if name not in further]
    if missing:
        raise DataError(
            f"{path}: the schema pins column {missing[0]!r}, which the file lacks; "
            f"it has: {', '.join(further) or 'no further column'}"
        )
    roles: list[SideFeature] = []
    for name in further:
        column = _emptied(frame[name])
        if not _is_plain(column.dtype):
            frame = frame.drop(name)
            continue
        role = pinned.get(name) or infer_role(column, frame[LINE], path)
        frame = frame.with_columns(_converted(column, role, frame[LINE], path))
        roles.append(SideFeature(name=name, role=role))
    return frame, roles


def infer_role(column: pl.Series, lines: pl.Series, path: Path) -> ColumnRole:
    """Return the role that a column's values suggest.

    Lists, JSON arrays and text with ``|`` in a tenth of the values are ``multi_valued``;
    numbers without leading zeros ``numeric``; short text that repeats ``categorical``;
    other text ``text``; dates and empty columns ``ignored``.

    Raises:
        DataError: Nine tenths are numbers, but not all.
    """
    if column.dtype == pl.List:
        return "multi_valued"
    if column.dtype == pl.Boolean:
        return "categorical"
    if column.dtype.is_numeric():
        return "numeric"
    if column.dtype != pl.String or column.null_count() == len(column):
        return "ignored"
    return _role_of_text(column, lines, path)


def _role_of_text(column: pl.Series, lines: pl.Series, path: Path) -> ColumnRole:
    known = column.drop_nulls()
    if _is_json_array(known) or known.str.contains(SEPARATOR, literal=True).mean() >= MULTI_RATIO:  # type: ignore[operator]
        return "multi_valued"
    numbers = known.str.strip_chars().cast(pl.Float64, strict=False)
    n_numbers = len(numbers) - numbers.null_count()
    if n_numbers and not known.str.contains(_LEADING_ZERO).any():
        if n_numbers == len(known):
            return "numeric"
        if n_numbers >= MIXED_RATIO * len(known):
            raise DataError(_mixed(column, lines, path))
    return "categorical" if _repeats(known) else "text"


def _repeats(known: pl.Series) -> bool:
    n_values = known.n_unique()
    longest = known.str.len_chars().max()
    short = isinstance(longest, int) and longest <= MAX_CATEGORY_CHARACTERS
    few = n_values <= FEW_CATEGORIES and n_values < len(known)
    return short and (few or n_values <= min(MAX_CATEGORIES, len(known) // 2))


def _is_plain(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        return inner == pl.String or inner == pl.Boolean or inner.is_numeric()
    return dtype in _KEPT or dtype.is_numeric()


def _emptied(column: pl.Series) -> pl.Series:
    """Read empty text as missing."""
    if column.dtype != pl.String:
        return column
    return column.set(column.str.strip_chars() == "", None)


def _is_json_array(known: pl.Series) -> bool:
    return bool(known.str.contains(_JSON_ARRAY).all())


def _converted(column: pl.Series, role: ColumnRole, lines: pl.Series, path: Path) -> pl.Series:
    if role == "numeric":
        return _numbers(column, lines, path)
    if role == "multi_valued":
        return _lists(column, lines, path)
    return column.cast(pl.String) if role == "categorical" else column


def _numbers(column: pl.Series, lines: pl.Series, path: Path) -> pl.Series:
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    elif not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"{path}: column {column.name!r} holds {column.dtype}, not numbers")
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() > column.null_count():
        raise DataError(_mixed(column, lines, path))
    finite = numbers.set(~numbers.is_finite(), None)
    whole = finite.cast(pl.Int64, strict=False)
    return whole if (whole == finite).all() else finite


def _lists(column: pl.Series, lines: pl.Series, path: Path) -> pl.Series:
    if column.dtype == pl.List:
        return column.cast(pl.List(pl.String))
    text = column.cast(pl.String)
    if not _is_json_array(text.drop_nulls()):
        return text.str.split(SEPARATOR).list.eval(pl.element().str.strip_chars())
    try:
        return text.str.json_decode(pl.List(pl.String))
    except pl.exceptions.PolarsError as error:
        line = lines.filter(text.is_not_null())[0]
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: column {column.name!r} is no JSON array from line {line} on ({reason})"
        ) from error


def _mixed(column: pl.Series, lines: pl.Series, path: Path) -> str:
    wrong = column.is_not_null() & column.cast(pl.Float64, strict=False).is_null()
    return (
        f"{path}: column {column.name!r} mixes numbers and text (line {lines.filter(wrong)[0]}: "
        f"{column.filter(wrong)[0]!r}); correct it, or pin its role with --schema"
    )
