"""Delimited text of the named datasets, read at memory speed."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl

from vizsla.errors import DataError

__all__ = ["locate", "read_bytes", "read_delimited", "read_sequences"]


def locate(folder: Path, name: str) -> Path:
    """Return the path of a file that may lie there as it is or as ``.gz``."""
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: It cannot be read.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def read_delimited(
    path: Path, columns: list[str], separator: str, *, encoding: str = "utf-8", skip_rows: int = 0
) -> pl.DataFrame:
    """Read text without a header and without quoting, every column's type inferred.

    Args:
        path: The file; ``.gz`` is unpacked.
        columns: Names of all columns, in order.
        separator: What stands between fields; may be longer than a character.
        encoding: Of the text.
        skip_rows: Lines to leave out at the beginning.

    Raises:
        DataError: The file is not of that form.
    """
    text = read_bytes(path).decode(encoding, errors="replace").replace("\r\n", "\n")
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"
    try:
        return pl.read_csv(
            text.encode(),
            has_header=False,
            new_columns=columns,
            separator=separator,
            quote_char=None,
            skip_rows=skip_rows,
            infer_schema_length=None,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: is not the expected table ({_first_line(error)})") from error


def read_sequences(path: Path) -> pl.DataFrame:
    """Read lines of identifiers separated by spaces into ``line`` (from 0) and ``ids``."""
    lines = pl.Series("text", read_bytes(path).decode("ascii").splitlines(), dtype=pl.String)
    frame = lines.to_frame().with_row_index("line")
    return frame.select("line", pl.col("text").str.strip_chars().str.split(" ").alias("ids"))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
