"""CSV and TSV in batches, every column a string; lines with too many or too few fields reported."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from vizsla.datasets.base import LINE, OnBad
from vizsla.errors import DataError

__all__ = ["open_bytes", "read_csv"]

BLOCK_BYTES = 8 << 20
MOST_LINES = 20
"""Lines that one row may span before a quote counts as never closed."""

_QUOTE_ERRORS = ("straddl", "out of sync")
_DELIMITERS = (",", ";", "\t", "|")


def read_csv(path: Path, on_bad: OnBad) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file with a header line.

    The number of a row counts the header as 1; it is the line number unless an earlier
    quoted field holds a line break.  Fields may be quoted with ``"``; the delimiter is the
    one of ``, ; tab |`` that the header has most.

    Args:
        path: The file, plain or ``.gz``, UTF-8 with or without a byte-order mark.
        on_bad: Told of lines with a wrong number of fields.

    Raises:
        DataError: The file as a whole cannot be read.
    """
    delimiter, names = _header(path)
    wrong: list[int] = []
    n_rows = 0
    try:
        with open_bytes(path) as file:
            reader = _reader(file, delimiter, names, _collector(wrong, on_bad))
            for batch in reader:
                frame = _frame(batch, n_rows, np.asarray(wrong, np.int64))
                _check_quotes(path, frame)
                yield frame
                n_rows += batch.num_rows
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise DataError(f"{path}: {_why(error, n_rows, wrong)}") from error


def open_bytes(path: Path) -> io.BufferedIOBase:
    """Open a file for reading, unpacked if its name ends in ``.gz``."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _header(path: Path) -> tuple[str, list[str]]:
    """Return the delimiter and the column names, or say why there is no header."""
    try:
        with open_bytes(path) as file:
            start = file.read(4096)
            line = (start + file.readline()).split(b"\n", 1)[0]
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)})") from error
    if b"\0" in start or start[:2] == b"\x1f\x8b":
        raise DataError(f"{path}: is not text (binary content); expected CSV with a header line")
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line 1 is not UTF-8; save the file as UTF-8") from error
    delimiter = max(_DELIMITERS, key=text.count)
    names = [name.strip().strip('"').strip() for name in text.split(delimiter)]
    _check_names(path, names)
    if b"\n" not in start and len(line) == len(start):
        raise DataError(f"{path}: there is no row in it")
    return delimiter, names


def _check_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: line 1 names the column {twice[0]!r} twice")


def _reader(
    file: io.BufferedIOBase,
    delimiter: str,
    names: list[str],
    on_invalid: Callable[[csv.InvalidRow], str],
) -> csv.CSVStreamingReader:
    return csv.open_csv(
        file,
        # row numbers are known only to a single thread
        read_options=csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=1
        ),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=on_invalid,
        ),
        convert_options=csv.ConvertOptions(
            # bytes, so that one line in another encoding does not end the file
            column_types=dict.fromkeys(names, pa.large_binary()),
            strings_can_be_null=False,
        ),
    )


def _why(error: Exception, n_rows: int, wrong: list[int]) -> str:
    """Say what stopped the parser; quotes that are never closed swallow what follows."""
    reason = _reason(error)
    if wrong and f"Row #{wrong[-1]}:" in reason:
        return f'a quote (") opened at line {wrong[-1]} is not closed; correct it'
    if any(part in reason for part in _QUOTE_ERRORS):
        line = n_rows + len(wrong) + 2
        return f'a quote (") opened at line {line} or later is not closed; correct it'
    return f"cannot be read as CSV ({reason})"


def _collector(wrong: list[int], on_bad: OnBad) -> Callable[[csv.InvalidRow], str]:
    def collect(row: csv.InvalidRow) -> str:
        wrong.append(row.number)
        if row.text.count("\n") >= MOST_LINES:
            return "error"
        if row.text.strip():
            reason = f"{row.actual_columns} fields, but the header has {row.expected_columns}"
            on_bad(row.number, reason, row.text)
        return "skip"

    return collect


def _frame(batch: pa.RecordBatch, n_before: int, wrong: NDArray[np.int64]) -> pl.DataFrame:
    """Turn bytes into strings and number the rows, skipped lines counted."""
    place = n_before + np.arange(batch.num_rows)
    skipped = np.searchsorted(wrong - np.arange(len(wrong)) - 2, place, side="right")
    columns = {LINE: pl.Series(place + 2 + skipped, dtype=pl.UInt64)}
    names, arrays = batch.schema.names, batch.columns
    columns |= {name: _text(array) for name, array in zip(names, arrays, strict=True)}
    frame = pl.DataFrame(columns)
    blank = pl.all_horizontal(pl.col(name) == "" for name in names)
    return frame.filter(~blank.fill_null(value=False))


def _check_quotes(path: Path, frame: pl.DataFrame) -> None:
    """Refuse a field that spans many lines: the rows in it would be lost unseen."""
    for name in frame.columns[1:]:
        long = frame.filter(pl.col(name).str.len_bytes() >= MOST_LINES)
        swallowed = long.filter(pl.col(name).str.count_matches("\n", literal=True) >= MOST_LINES)
        if swallowed.height:
            line = swallowed[LINE][0]
            raise DataError(f'{path}: a quote (") opened at line {line} is not closed; correct it')


def _text(array: pa.Array) -> pl.Series:
    """Return strings; what is not UTF-8 becomes null, which no CSV field is otherwise."""
    column = pl.Series(array)
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(value) for value in column.to_list()], dtype=pl.String)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
