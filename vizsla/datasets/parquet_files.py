"""Parquet in batches, columns in their own types where those are plain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from vizsla.datasets.base import LINE, OnBad
from vizsla.errors import DataError

__all__ = ["read_parquet"]

BATCH_ROWS = 1 << 20


def read_parquet(path: Path, _on_bad: OnBad) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file; the number of a row counts from 1.

    Args:
        path: The file.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with parquet.ParquetFile(path) as file:
            first = 1
            for batch in file.iter_batches(BATCH_ROWS):
                yield (
                    _plain(pl.DataFrame(batch))
                    .with_row_index(LINE, first)
                    .with_columns(pl.col(LINE).cast(pl.UInt64))
                )
                first += batch.num_rows
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read as Parquet ({reason})") from error


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(_column(name, dtype) for name, dtype in frame.schema.items())


def _column(name: str, dtype: pl.DataType) -> pl.Expr:
    """Turn dictionary-coded text into text and decimals into floats; leave the rest."""
    if dtype in (pl.Categorical, pl.Enum):
        return pl.col(name).cast(pl.String)
    if dtype == pl.Decimal:
        return pl.col(name).cast(pl.Float64)
    return pl.col(name)
