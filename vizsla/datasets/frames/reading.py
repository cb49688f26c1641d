"""Training frames read back, a row group at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyarrow import ArrowException, parquet
from pydantic import ValidationError

from vizsla.contracts.features import FrameSplit, TrainingFrame
from vizsla.datasets.fetching import data_home
from vizsla.datasets.frames.storage import FORMAT_VERSION, MANIFEST
from vizsla.errors import (
    CorruptArtifactError,
    IncompatibleArtifactError,
    NotFoundError,
    UsageError,
)

__all__ = ["Frame", "find_frame", "read_frame", "resolve_frame"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame directory, of which nothing is in memory but the manifest."""

    directory: Path
    manifest: TrainingFrame

    def tables(
        self, split: FrameSplit, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a split in order, one row group of 65,536 rows or fewer at a time.

        Args:
            split: ``train``, ``valid`` or ``test``.
            columns: Those to read; None reads all.

        Raises:
            CorruptArtifactError: A file is broken, or rows are missing.
            UsageError: There is no such column.
        """
        n_rows = 0
        for path in sorted((self.directory / split).glob("part-*.parquet")):
            for table in _row_groups(path, columns):
                n_rows += table.height
                yield table
        expected = self.manifest.splits[split].n_rows if split in self.manifest.splits else 0
        if n_rows != expected:
            raise CorruptArtifactError(
                f"{self.directory / split}: {n_rows} rows, but {MANIFEST} says {expected}; make the frame again"
            )

    def table(self, split: FrameSplit, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return all rows of a split; for data that fits into memory."""
        tables = list(self.tables(split, columns))
        return pl.concat(tables) if tables else self._empty(columns)

    def _empty(self, columns: Sequence[str] | None) -> pl.DataFrame:
        """Return no row with the columns that training rows have."""
        return next(self.tables("train", columns)).clear()


def _row_groups(path: Path, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    try:
        with parquet.ParquetFile(path) as file:
            absent = [name for name in columns or () if name not in file.schema_arrow.names]
            if absent:
                raise UsageError(
                    f"{path}: no column {absent[0]!r}; it has: {', '.join(file.schema_arrow.names)}"
                )
            for group in range(file.num_row_groups):
                table = pl.from_arrow(file.read_row_group(group, columns=columns))
                assert isinstance(table, pl.DataFrame)
                yield table if columns is None else table.select(columns)
    except (OSError, ArrowException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorruptArtifactError(
            f"{path}: cannot be read ({reason}); make the frame again"
        ) from error


def read_frame(directory: str | Path) -> Frame:
    """Open a frame directory.

    Raises:
        NotFoundError: There is no frame there.
        CorruptArtifactError: Its manifest cannot be read.
        IncompatibleArtifactError: It was written by another format version.
    """
    directory = Path(directory)
    path = directory / MANIFEST
    if not path.is_file():
        raise NotFoundError(
            f"no training frame in {directory} ({MANIFEST} is missing): "
            "run 'vizsla data fetch NAME' or 'vizsla data import-frame'"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise IncompatibleArtifactError(
                f"{path}: format version {version} is unknown here (known: {FORMAT_VERSION})"
            )
        return Frame(directory, TrainingFrame.model_validate(raw))
    except (ValidationError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtifactError(f"{path}: {reason}; make the frame again") from error


def find_frame(name_or_path: str, home: Path) -> Path | None:
    """Return the directory of a frame given by name or by path; None where there is none."""
    places = (data_home(home) / name_or_path, Path(name_or_path)) if name_or_path else ()
    return next((place for place in places if (place / MANIFEST).is_file()), None)


def resolve_frame(name_or_path: str, home: Path) -> Path:
    """Return the directory of a frame given by name or by path.

    Raises:
        NotFoundError: Neither is there; the message says what to run.
        UsageError: The argument is empty.
    """
    if not name_or_path:
        raise UsageError("the name or directory of a training frame is needed")
    found = find_frame(name_or_path, home)
    if found is not None:
        return found
    raise NotFoundError(
        f"no training frame {name_or_path!r} in {data_home(home)}: "
        f"run 'vizsla data fetch {name_or_path}' or 'vizsla data import-frame'"
    )
