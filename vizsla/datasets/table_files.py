"""Customers' files in batches: CSV, JSON Lines and Parquet, one form for all three.

A reader never stops at a bad line: it reports the line and goes on.  Only what makes
the whole file unusable (an unknown suffix, binary content, a broken header) raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vizsla.datasets.base import OnBad
from vizsla.datasets.csv_files import read_csv
from vizsla.datasets.jsonl_files import read_jsonl
from vizsla.datasets.parquet_files import read_parquet
from vizsla.errors import DataError, NotFoundError, UsageError

__all__ = ["SUFFIXES", "TableFile", "open_table"]

SUFFIXES = (
    ".parquet",
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".jsonl",
    ".jsonl.gz",
    ".ndjson",
    ".ndjson.gz",
)
Reader = Callable[[Path, OnBad], Iterator[pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file and how to read it.

    Attributes:
        path: The file.
        kind: ``parquet``, ``csv`` or ``jsonl``; in the last two every column is a string.
    """

    path: Path
    kind: str

    def batches(self, on_bad: OnBad) -> Iterator[pl.DataFrame]:
        """Yield frames with the column ``LINE`` first.

        Args:
            on_bad: Told ``(line, reason, raw text)`` of every line that is no row.

        Raises:
            DataError: The file as a whole cannot be read; one line that names it.
        """
        readers: dict[str, Reader] = {
            "csv": read_csv,
            "jsonl": read_jsonl,
            "parquet": read_parquet,
        }
        return readers[self.kind](self.path, on_bad)


def open_table(path: Path) -> TableFile:
    """Find out what a file is by its suffix.

    Raises:
        NotFoundError: There is no such file.
        UsageError: The suffix is none of ``SUFFIXES``.
        DataError: The file is empty.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: {path}")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise UsageError(f"{path}: unknown suffix; known: {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    if name.endswith(".parquet"):
        return TableFile(path, "parquet")
    return TableFile(path, "csv" if ".csv" in name or ".tsv" in name else "jsonl")
