"""JSON Lines in batches, every column a string; lines that are no JSON object reported."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.datasets.base import LINE, OnBad
from vizsla.datasets.csv_files import open_bytes
from vizsla.errors import DataError

__all__ = ["SAMPLE_LINES", "read_jsonl"]

SAMPLE_LINES = 1000
"""Lines at the beginning whose keys are the columns; keys that first appear later are ignored."""

BLOCK_BYTES = 8 << 20


def read_jsonl(path: Path, on_bad: OnBad) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file with one JSON object per line.

    Numbers and booleans come as their text, arrays and objects as JSON text.

    Args:
        path: The file, plain or ``.gz``.
        on_bad: Told of lines that are not a JSON object in UTF-8.

    Raises:
        DataError: The file as a whole cannot be read.
    """
    try:
        names = _keys(path)
        with open_bytes(path) as file:
            first = 1
            for block in _blocks(file):
                yield _rows(path, block, first, names, on_bad)
                first += block.count(b"\n")
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _keys(path: Path) -> list[str]:
    """Return the keys of the first lines, in order of appearance."""
    with open_bytes(path) as file:
        if b"\0" in file.read(4096):
            raise DataError(f"{path}: is not text (binary content); expected JSON Lines")
        file.seek(0)
        objects = (_object(line) for line in islice(file, SAMPLE_LINES))
        names = list(dict.fromkeys(key for found in objects if found for key in found))
    if not names:
        raise DataError(f"{path}: no JSON object in the first {SAMPLE_LINES} lines")
    return names


def _blocks(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield whole lines, about ``BLOCK_BYTES`` at a time, the last one ended as well."""
    while block := file.read(BLOCK_BYTES):
        whole = block + file.readline()
        yield whole if whole.endswith(b"\n") else whole + b"\n"


def _rows(path: Path, block: bytes, first: int, names: list[str], on_bad: OnBad) -> pl.DataFrame:
    """Parse a block at once; only a block that the parser refuses is looked at line by line."""
    lines = np.arange(first, first + block.count(b"\n"))
    try:
        frame = _parse(block, names)
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or frame.height != len(lines):
        lines, block = _without_bad_lines(block, first, on_bad)
        frame = _parse_checked(path, block, names, first)
    return frame.insert_column(0, pl.Series(LINE, lines, dtype=pl.UInt64))


def _parse(block: bytes, names: list[str]) -> pl.DataFrame:
    return pl.read_ndjson(io.BytesIO(block), schema=dict.fromkeys(names, pl.String))


def _parse_checked(path: Path, block: bytes, names: list[str], first: int) -> pl.DataFrame:
    if not block:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    try:
        return _parse(block, names)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: after line {first}: {reason}") from error


def _without_bad_lines(block: bytes, first: int, on_bad: OnBad) -> tuple[NDArray[np.int64], bytes]:
    numbers, kept = [], []
    for number, line in enumerate(block.split(b"\n"), first):
        if not line.strip():
            continue
        if _object(line) is None:
            on_bad(number, "not a JSON object", line.decode(errors="replace"))
        else:
            numbers.append(number)
            kept.append(line)
    return np.asarray(numbers, np.int64), b"\n".join(kept)


def _object(line: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
