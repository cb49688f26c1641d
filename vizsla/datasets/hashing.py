"""A hash of what tables hold, independent of how Parquet happens to store it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import polars as pl

__all__ = ["content_hash"]

_CHUNK_ROWS = 1 << 20


def content_hash(tables: Iterable[tuple[str, pl.DataFrame | None]]) -> str:
    """Return the hex SHA-256 over the values of named tables, in row order.

    Compression, row groups and chunking of the files do not matter; names, types,
    nulls, values and their order do.

    Args:
        tables: ``(name, frame)`` in a fixed order; a missing table counts as absent.

    Example:
        >>> one = pl.DataFrame({"a": ["x", None]})
        >>> content_hash([("t", one)]) == content_hash([("t", one.rechunk())])
        True
        >>> content_hash([("t", one)]) == content_hash([("t", one.reverse())])
        False
    """
    digest = hashlib.sha256()
    for name, frame in tables:
        if frame is None:
            continue
        digest.update(f"{name}\0{frame.height}\0".encode())
        for series in frame.iter_columns():
            digest.update(f"{series.name}\0{series.dtype}\0".encode())
            for start in range(0, max(len(series), 1), _CHUNK_ROWS):
                _update(digest, series.slice(start, _CHUNK_ROWS))
    return digest.hexdigest()


def _update(digest: hashlib._Hash, series: pl.Series) -> None:
    digest.update(np.packbits(series.is_null().to_numpy()).tobytes())
    if series.dtype == pl.List:
        digest.update(series.list.len().fill_null(0).cast(pl.Int64).to_numpy().tobytes())
        _update(digest, series.drop_nulls().explode(empty_as_null=False))
    elif series.dtype == pl.String:
        digest.update(series.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy().tobytes())
        digest.update("".join(series.drop_nulls().to_list()).encode())
    else:
        digest.update(_numbers(series).to_numpy().tobytes())


def _numbers(series: pl.Series) -> pl.Series:
    """Return a column without nulls whose memory is its values; booleans and times as integers."""
    physical = series.to_physical()
    if physical.dtype == pl.Boolean:
        physical = physical.cast(pl.UInt8)
    return physical.fill_null(0).rechunk()
