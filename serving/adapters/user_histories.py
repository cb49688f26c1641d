"""Users from the ``users.parquet`` that training leaves beside its bundles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving.core.protocols import UserRow
from vizsla.errors import DataError
from vizsla.rng import numpy_generator

__all__ = [
    "NoUsers",
    "ParquetHistories",
    "default_users_file",
    "open_histories",
    "sample_histories",
]

HISTORY = "history"
USER_ID = "user_id"


class NoUsers:
    """Every user is unknown."""

    def find(self, user_id: str) -> UserRow | None:
        """Return None."""
        return None

    def __len__(self) -> int:
        return 0


class ParquetHistories:
    """Rows of a ``users.parquet``: ``user_id``, ``history`` (item ids, oldest first), features.

    Columns stay in Arrow, about the size of the file; only the asked row becomes Python.

    Args:
        path: The file.

    Raises:
        DataError: Not a Parquet file, a column is missing or of the wrong type, or a user
            occurs twice.
    """

    def __init__(self, path: Path) -> None:
        table = _read(path)
        self._rows: Mapping[str, int] = {
            user_id: row for row, user_id in enumerate(table.column(USER_ID).to_pylist())
        }
        if len(self._rows) != table.num_rows:
            raise DataError(f"{path}: a user_id occurs twice or is missing")
        self._histories = table.column(HISTORY)
        self._features = {
            name: table.column(name)
            for name in table.column_names
            if pa.types.is_string(table.schema.field(name).type) and name != USER_ID
        }

    def find(self, user_id: str) -> UserRow | None:
        """Return a user's row, or None for an unknown user."""
        row = self._rows.get(user_id)
        if row is None:
            return None
        values = {name: column[row].as_py() for name, column in self._features.items()}
        return UserRow(
            tuple(self._histories[row].as_py() or ()),
            {name: value for name, value in values.items() if value is not None},
        )

    def __len__(self) -> int:
        return len(self._rows)


def default_users_file(bundle_dir: Path) -> Path | None:
    """Return ``users.parquet`` of the run directory that a bundle lies in, if it is there."""
    path = bundle_dir.resolve().parent.parent / "users.parquet"
    return path if path.is_file() else None


def open_histories(path: Path | None) -> NoUsers | ParquetHistories:
    """Open a users file; None means that every user is unknown."""
    return NoUsers() if path is None else ParquetHistories(path)


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (give one with --users, or leave it out)") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file: {' '.join(str(error).split())}") from None
    for name in (USER_ID, HISTORY):
        if name not in table.column_names:
            raise DataError(f"{path}: no column {name!r}")
    if not _is_text(table.schema.field(USER_ID).type):
        raise DataError(f"{path}: column user_id must hold strings")
    if not _is_list_of_text(table.schema.field(HISTORY).type):
        raise DataError(f"{path}: column history must hold lists of item ids (strings)")
    return _plain_strings(table)


def sample_histories(path: Path, n_users: int, seed: int) -> list[list[str]]:
    """Return the histories of some users that have one, chosen by the seed."""
    histories = [row for row in _read(path).column(HISTORY).to_pylist() if row]
    chosen = numpy_generator(seed, "sampled users").permutation(len(histories))[:n_users]
    return [histories[row] for row in chosen.tolist()]


def _is_text(kind: pa.DataType) -> bool:
    """Plain, large and dictionary strings; an all-null column counts as one."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_null(inner)
    )


def _is_list_of_text(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_list and _is_text(kind.value_type))


def _plain_strings(table: pa.Table) -> pa.Table:
    """Make all kinds of strings plain ones, so that one test of type is enough."""
    schema = pa.schema([_plain(field) for field in table.schema])
    return table.cast(schema).combine_chunks()


def _plain(field: pa.Field) -> pa.Field:
    if field.name == HISTORY:
        return field.with_type(pa.list_(pa.string()))
    return field.with_type(pa.string()) if _is_text(field.type) else field
