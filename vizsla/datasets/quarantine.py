"""Rows that were refused: kept with their line number and the reason."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.datasets.base import LINE
from vizsla.datasets.validation import REASON

__all__ = ["RAW_LIMIT", "SCHEMA", "Quarantine"]

RAW_LIMIT = 2000
"""Characters of a refused row that are kept."""

SCHEMA = {"file": pl.String, "line": pl.UInt64, "reason": pl.String, "raw": pl.String}


class Quarantine:
    """Collects the refused rows of one file.

    Args:
        path: The file; only its name is kept.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.name
        self._lines: list[tuple[str, int, str, str]] = []
        self._frames: list[pl.DataFrame] = []

    def add_line(self, line: int, reason: str, raw: str) -> None:
        """Keep a line that is no row at all."""
        self._lines.append((self._file, line, reason, raw.rstrip("\r\n")[:RAW_LIMIT]))

    def add_rows(self, rows: pl.DataFrame, raw_columns: list[str]) -> None:
        """Keep rows that have a ``REASON``; ``raw_columns`` are what the file said."""
        raw = pl.struct(raw_columns).struct.json_encode().str.slice(0, RAW_LIMIT)
        self._frames.append(
            rows.select(
                pl.lit(self._file).alias("file"),
                pl.col(LINE).alias("line"),
                pl.col(REASON).alias("reason"),
                raw.alias("raw"),
            )
        )

    def frame(self) -> pl.DataFrame:
        """Return everything refused, by line."""
        lines = pl.DataFrame(self._lines, schema=SCHEMA, orient="row")
        return pl.concat([lines, *self._frames]).sort("line")
