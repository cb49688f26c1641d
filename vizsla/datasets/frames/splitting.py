"""Which part of a frame a customer's row belongs to: drawn, by its time, or as a column says."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.datasets.frames.base import SHARES
from vizsla.datasets.frames.storage import SPLITS
from vizsla.datasets.table_files import TableFile
from vizsla.datasets.validation import SPLIT_NAMES, time_seconds
from vizsla.errors import DataError
from vizsla.rng import numpy_generator

__all__ = ["SPLIT", "TIME_COLUMN", "Splitter", "splitter_of", "times_of"]

TIME_COLUMN = "event_timestamp"
SPLIT = "__split"
"""Column of the part; no customer's column has this name."""

_ENDS = np.cumsum(SHARES)[:2]


class Splitter(Protocol):
    """Gives rows their part."""

    def split(self, batch: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Return the column ``SPLIT`` and the reason to refuse each row; batches come in order."""
        ...


def splitter_of(split_by: str, seed: int, file: TableFile) -> Splitter:
    """Return the splitter that was asked for; by time, the file's times are read first.

    Raises:
        DataError: The file has no such column, or no time that can be read.
    """
    if split_by == "random":
        return _ByRandom(seed)
    if split_by == "time":
        return _ByTime(file)
    return _ByColumn(split_by, file.path)


class _ByRandom:
    def __init__(self, seed: int) -> None:
        self._rng = numpy_generator(seed, "frame", "import split")

    def split(self, batch: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Draw for each row."""
        return _named(np.searchsorted(_ENDS, self._rng.random(batch.height))), _nothing(batch)


class _ByTime:
    def __init__(self, file: TableFile) -> None:
        self._path = file.path
        times = [self._times(batch).drop_nulls() for batch in file.batches(lambda *_: None)]
        known = pl.concat(times) if times else pl.Series(dtype=pl.Float64)
        if not len(known):
            raise DataError(f"{file.path}: no row has an {TIME_COLUMN} that can be read")
        self._ends = np.quantile(known.to_numpy(), _ENDS, method="inverted_cdf")

    def _times(self, batch: pl.DataFrame) -> pl.Series:
        if TIME_COLUMN not in batch.columns:
            raise DataError(f"{self._path}: column {TIME_COLUMN!r} is missing, by which to split")
        return times_of(batch)

    def split(self, batch: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Compare with the times that end training and validation; equal times stay together."""
        times = self._times(batch)
        places = np.searchsorted(self._ends, times.fill_null(0.0).to_numpy(), side="left")
        return _named(places), _where(times.is_null(), f"{TIME_COLUMN} cannot be read")


class _ByColumn:
    def __init__(self, column: str, path: Path) -> None:
        self._column, self._path = column, path

    def split(self, batch: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Take what the column says."""
        if self._column not in batch.columns:
            raise DataError(
                f"{self._path}: no column {self._column!r} to split by; use random, time or a column"
            )
        text = batch[self._column].cast(pl.String).str.strip_chars()
        names = text.replace("validation", "valid")
        known = text.is_in(list(SPLIT_NAMES)).fill_null(value=False)
        reason = f"{self._column} is not one of {', '.join(SPLIT_NAMES)}"
        return names.alias(SPLIT), _where(~known, reason)


def times_of(batch: pl.DataFrame) -> pl.Series:
    """Return ``event_timestamp`` as Unix seconds, null where it cannot be read."""
    seconds = time_seconds(TIME_COLUMN, batch.schema[TIME_COLUMN])
    return batch.select(seconds.alias(TIME_COLUMN))[TIME_COLUMN].fill_nan(None)


def _named(places: NDArray[np.int64]) -> pl.Series:
    return pl.Series(SPLIT, np.asarray(SPLITS)[places])


def _where(wrong: pl.Series, reason: str) -> pl.Series:
    return pl.select(pl.when(wrong).then(pl.lit(reason))).to_series()


def _nothing(batch: pl.DataFrame) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, batch.height)
