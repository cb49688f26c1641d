"""What the columns of a customer's file are as fields: inferred from its first rows, with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from vizsla.contracts.fields import (
    BucketEncoding,
    FieldOwner,
    FieldSpec,
    HashEncoding,
    VocabularyEncoding,
)
from vizsla.datasets.base import LINE
from vizsla.datasets.frames.storage import RESERVED
from vizsla.datasets.roles import infer_role

__all__ = ["ColumnChoice", "infer_fields"]

MOST_KNOWN = 200_000
"""A column with more values than this among the rows looked at is hashed."""

N_BUCKETS = 1_000_000
LONGEST_TEXT = 64
LEAST_ROWS = 1_000
_NAME = re.compile(r"[A-Za-z0-9_.:+-]{1,128}")


class ColumnChoice(BaseModel):
    """One column of the file.

    Attributes:
        name: Its name.
        type: Its type in the file.
        field: What it becomes; None for one that is left out.
        reason: Why.
        n_values: Distinct values among the rows looked at.
        n_missing: Rows without a value among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: str
    field: FieldSpec | None
    reason: str
    n_values: int
    n_missing: int


def infer_fields(rows: pl.DataFrame, ignored: set[str], path: Path) -> list[ColumnChoice]:
    """Decide for each column what field it is.

    Args:
        rows: The first rows of the file, with ``LINE``.
        ignored: Columns that have another meaning, such as the label.
        path: The file, for messages.

    Raises:
        DataError: A column mixes numbers and text.
    """
    names = [name for name in rows.columns if name != LINE and name not in ignored]
    return [_choice(rows[name], rows[LINE], path) for name in names]


def _choice(column: pl.Series, lines: pl.Series, path: Path) -> ColumnChoice:
    if column.dtype == pl.String:
        column = column.set(column.str.strip_chars() == "", None)
    plain = not column.dtype.is_nested() or isinstance(column.dtype, pl.List)
    n_values = column.drop_nulls().n_unique() if plain and not column.dtype.is_nested() else 0
    field, reason = _field(column, lines, path, n_values) if plain else (None, "no plain type")
    return ColumnChoice(
        name=column.name,
        type=str(column.dtype),
        field=field,
        reason=reason,
        n_values=n_values,
        n_missing=column.null_count(),
    )


def _field(
    column: pl.Series, lines: pl.Series, path: Path, n_values: int
) -> tuple[FieldSpec | None, str]:
    """Return the field, and why it is that."""
    name = column.name
    if name in RESERVED or not _NAME.fullmatch(name):
        return None, "its name cannot be a field's; rename the column"
    if column.null_count() == len(column):
        return None, "no value in any row"
    role = infer_role(column, lines, path)
    owner = _owner(name)
    if role == "multi_valued":
        return FieldSpec(name=name, kind="multi_valued", owner=owner), "lists of values"
    if role == "numeric" and not _is_id(name):
        numeric = FieldSpec(name=name, kind="numeric", owner=owner, encoding=BucketEncoding())
        return numeric, "numbers, cut at quantiles"
    return _category(column, owner, n_values)


def _category(column: pl.Series, owner: FieldOwner, n_values: int) -> tuple[FieldSpec | None, str]:
    longest = column.str.len_chars().max() if column.dtype == pl.String else 0
    if isinstance(longest, int) and longest > LONGEST_TEXT:
        return None, f"text of up to {longest} characters"
    if n_values == len(column) >= LEAST_ROWS and not _is_id(column.name):
        return None, "another value in every row"
    if n_values > MOST_KNOWN:
        hashed = HashEncoding(n_buckets=N_BUCKETS)
        reason = f"{n_values:,} values in {len(column):,} rows, too many to keep a vocabulary"
        return FieldSpec(name=column.name, owner=owner, encoding=hashed), reason
    known = FieldSpec(name=column.name, owner=owner, encoding=VocabularyEncoding())
    return known, "values that repeat" if n_values < len(column) else "values"


def _is_id(name: str) -> bool:
    """Return whether numbers in a column are names: ``item_id``, ``id``, ``brandId``."""
    return name.lower() == "id" or name.endswith(("_id", "Id", "ID"))


def _owner(name: str) -> FieldOwner:
    if name.startswith("user"):
        return "user"
    return "item" if name.startswith("item") else "context"
