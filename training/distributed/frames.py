"""Frames read and encoded by Ray Data: row by row the codes of the plain reader, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from training.ctr.encoding import Coder
from training.distributed.cluster import LOCAL, ray_cluster
from vizsla.contracts.features import FrameSplit
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import Frame
from vizsla.errors import CorruptArtifactError
from vizsla.fields import EncodedRows, Ragged
from vizsla.fields.encoders import FieldEncoders

__all__ = ["RayReader", "from_arrow", "to_arrow"]

_LABEL, _WEIGHT = "label", "weight"


@dataclass(frozen=True, slots=True)
class RayReader:
    """Encodes frames on all cores of a Ray.

    Attributes:
        address: Of a running Ray, or ``local``.
        n_cpus: Cores of one that is started here.
    """

    address: str = LOCAL
    n_cpus: int = 1

    @contextmanager
    def __call__(self) -> Iterator[Coder]:
        """Start or join Ray for the length of a block.

        Raises:
            UsageError: Ray or its libraries are not there.
        """
        with ray_cluster(self.address, self.n_cpus):
            yield _coded


def to_arrow(rows: EncodedRows) -> pa.Table:
    """Return rows with labels as a table: a column per field, lists as lists."""
    columns: dict[str, Any] = {name: pa.array(codes) for name, codes in rows.single.items()}
    for name, ragged in rows.lists.items():
        offsets = pa.array(ragged.offsets.astype(np.int32))
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(ragged.values))
    columns[_LABEL] = pa.array(rows.labels)
    if rows.weights is not None:
        columns[_WEIGHT] = pa.array(rows.weights)
    return pa.table(columns)


def from_arrow(table: pa.Table, fields: tuple[FieldSpec, ...]) -> EncodedRows:
    """Read what ``to_arrow`` made."""
    names = [one.name for one in fields if not one.is_list]
    return EncodedRows(
        {name: _numbers(table, name, np.int32) for name in names},
        {one.name: _ragged(table, one.name) for one in fields if one.is_list},
        _numbers(table, _LABEL, np.float32),
        _numbers(table, _WEIGHT, np.float32) if _WEIGHT in table.column_names else None,
    )


def _coded(frame: Frame, encoders: FieldEncoders, split: FrameSplit) -> Iterator[EncodedRows]:
    """Yield a split in order, a block of Ray's at a time.

    Raises:
        CorruptArtifactError: A file is broken, or rows are missing.
    """
    import ray.data
    from ray.exceptions import RayError

    folder = (frame.directory / split).resolve()
    expected = frame.manifest.splits[split].n_rows if split in frame.manifest.splits else 0
    if not expected:
        return
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    n_rows = 0
    try:
        paths = [str(path) for path in sorted(folder.glob("part-*.parquet"))]
        rows = ray.data.read_parquet(paths).map_batches(
            partial(_encoded, encoders=encoders), batch_size=None, batch_format="pyarrow"
        )
        for block in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
            n_rows += block.num_rows
            yield from_arrow(block, encoders.fields)
    except (RayError, OSError, pa.ArrowException) as error:
        last = [line for line in str(error).splitlines() if line.strip()][-1].strip()
        raise CorruptArtifactError(f"{folder}: Ray Data cannot read it ({last})") from None
    if n_rows != expected:
        raise CorruptArtifactError(
            f"{folder}: {n_rows} rows, but {expected} are expected; make the frame again"
        )


def _encoded(table: pa.Table, encoders: FieldEncoders) -> pa.Table:
    """Run in Ray's tasks."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return to_arrow(encoders.encode(frame))


def _numbers(table: pa.Table, name: str, dtype: type) -> NDArray[Any]:
    return np.asarray(table[name].to_numpy(), dtype)


def _ragged(table: pa.Table, name: str) -> Ragged:
    column = table[name].combine_chunks()
    lengths = np.asarray(column.value_lengths().to_numpy(), np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return Ragged(np.asarray(column.flatten().to_numpy(), np.int32), offsets)
