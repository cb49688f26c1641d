"""A frame's rows as codes: in memory where they fit, else written once and mapped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.cli_output import progress
from vizsla.contracts.features import FrameSplit
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import Frame
from vizsla.errors import CorruptArtifactError
from vizsla.fields import EncodedRows, Ragged
from vizsla.fields.encoders import FieldEncoders
from vizsla.fields.rows import join
from vizsla.files import atomic_directory

__all__ = [
    "Coder",
    "FrameReader",
    "StoppedError",
    "encode_frame",
    "encode_split",
    "encode_to_disk",
    "fit_encoders",
    "forget_encoded",
    "open_encoded",
    "plain_reader",
]

_FILE = "encoded.json"
_FIELDS = "fields"
_ENCODED = "encoded"
Number = TypeVar("Number", np.int32, np.int64, np.float32)
Part = TypeVar("Part", bound=Sized)


Coder = Callable[[Frame, FieldEncoders, FrameSplit], Iterator[EncodedRows]]
"""Yields the codes of a split, some rows at a time, in order."""

FrameReader = Callable[[], AbstractContextManager[Coder]]
"""Holds what a coder needs for the length of a block."""


class StoppedError(Exception):
    """Somebody asked to stop; never leaves the pipelines."""


def _coded(frame: Frame, encoders: FieldEncoders, split: FrameSplit) -> Iterator[EncodedRows]:
    return map(encoders.encode, frame.tables(split))


def plain_reader() -> AbstractContextManager[Coder]:
    """Encode in this process, a row group at a time."""
    return nullcontext(_coded)


def encode_frame(
    frame: Frame,
    out: Path,
    splits: Sequence[FrameSplit],
    memory_rows: int,
    should_stop: Callable[[], bool],
    reader: FrameReader = plain_reader,
) -> tuple[FieldEncoders, dict[FrameSplit, EncodedRows]]:
    """Fit encoders and encode splits, with a bar; a second call goes on where one was stopped.

    Args:
        frame: The rows.
        out: Run's folder: encoders go to ``fields/``, splits that are large to ``encoded/SPLIT``.
        splits: Which to return.
        memory_rows: The most rows of a split in memory.
        should_stop: Asked after every row group.
        reader: Who encodes; the codes are the same.

    Raises:
        StoppedError: It said so; splits and encoders that were complete stay.
    """
    sizes = {name: counts.n_rows for name, counts in frame.manifest.splits.items()}
    left = [split for split in splits if not (out / _ENCODED / split).is_dir()]
    if not (out / _FIELDS).is_dir():
        left.append("train")
    total = sum(sizes.get(split, 0) for split in left)
    with progress(f"encoding {frame.manifest.name}", total, "rows") as bar:

        def watched(parts: Iterator[Part]) -> Iterator[Part]:
            for part in parts:
                yield part
                bar.advance(len(part))
                if should_stop():
                    raise StoppedError

        encoders = fit_encoders(frame, out / _FIELDS, watched)
        with reader() as coder:
            rows = {
                split: encode_split(
                    frame,
                    encoders,
                    split,
                    out / _ENCODED / split,
                    memory_rows,
                    lambda *which: watched(coder(*which)),
                )
                for split in splits
            }
    return encoders, rows


def forget_encoded(out: Path) -> None:
    """Remove what ``encode_frame`` has written."""
    for name in (_FIELDS, _ENCODED):
        shutil.rmtree(out / name, ignore_errors=True)


def fit_encoders(
    frame: Frame,
    folder: Path,
    watched: Callable[[Iterator[pl.DataFrame]], Iterator[pl.DataFrame]] = iter,
) -> FieldEncoders:
    """Fit encoders on the training rows, or read those of the folder; ``watched`` hands them on."""
    if not folder.is_dir():
        names = [field.name for field in frame.manifest.fields]
        tables = watched(frame.tables("train", names))
        FieldEncoders.fit(frame.manifest.fields, tables).save(folder)
    return FieldEncoders.load(folder)


def encode_split(
    frame: Frame,
    encoders: FieldEncoders,
    split: FrameSplit,
    folder: Path,
    memory_rows: int,
    coder: Coder = _coded,
) -> EncodedRows:
    """Return a split as codes.

    Args:
        frame: The rows.
        encoders: Fitted on it.
        split: Which rows.
        folder: For the codes of a split with more rows than memory should hold; taken as it is
            where it is there.
        memory_rows: The most rows in memory.
        coder: Who encodes.
    """
    counts = frame.manifest.splits.get(split)
    if counts is None or counts.n_rows <= memory_rows:
        parts = list(coder(frame, encoders, split))
        return join(parts) if parts else encoders.encode(frame.table(split))
    if not folder.is_dir():
        encode_to_disk(frame, encoders, split, folder, coder)
    return open_encoded(folder, encoders.fields)


def encode_to_disk(
    frame: Frame,
    encoders: FieldEncoders,
    split: FrameSplit,
    folder: Path,
    coder: Coder = _coded,
) -> None:
    """Write a split's codes, one file per field, a row group at a time; all or nothing."""
    with atomic_directory(folder) as temporary:
        writer = _Writer(temporary, encoders.fields)
        for part in coder(frame, encoders, split):
            writer.add(part)
        writer.close()


def open_encoded(folder: Path, fields: Sequence[FieldSpec]) -> EncodedRows:
    """Map what ``encode_to_disk`` wrote.

    Raises:
        CorruptArtifactError: A file is missing or has another size.
    """
    try:
        n_rows = json.loads((folder / _FILE).read_text(encoding="utf-8"))["n_rows"]
        single: dict[str, NDArray[np.int32]] = {}
        lists: dict[str, Ragged] = {}
        for place, field in enumerate(fields):
            values = _mapped(folder / f"{place}.i32", np.int32)
            if field.is_list:
                offsets = _mapped(folder / f"{place}.i64", np.int64)
                lists[field.name] = Ragged(values, offsets[: n_rows + 1])
            else:
                single[field.name] = values[:n_rows]
        labels = _mapped(folder / "labels.f32", np.float32)
        path = folder / "weights.f32"
        weights = _mapped(path, np.float32) if path.exists() else None
        return EncodedRows(single, lists, labels, weights)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptArtifactError(f"{folder}: {error}; start again with --fresh") from error


class _Writer:
    """Appends codes to raw files, little-endian, one per field."""

    def __init__(self, folder: Path, fields: Sequence[FieldSpec]) -> None:
        self._folder, self._fields = folder, fields
        self._n_rows = 0
        self._n_values = {field.name: 0 for field in fields if field.is_list}
        for place, field in enumerate(fields):
            if field.is_list:
                self._append(f"{place}.i64", np.zeros(1, np.int64))

    def add(self, rows: EncodedRows) -> None:
        """Append rows with labels."""
        assert rows.labels is not None
        for place, field in enumerate(self._fields):
            if field.is_list:
                ragged = rows.lists[field.name]
                self._append(f"{place}.i32", ragged.values.astype("<i4"))
                offsets = ragged.offsets[1:] + self._n_values[field.name]
                self._append(f"{place}.i64", offsets.astype("<i8"))
                self._n_values[field.name] += len(ragged.values)
            else:
                self._append(f"{place}.i32", rows.single[field.name].astype("<i4"))
        self._append("labels.f32", rows.labels.astype("<f4"))
        if rows.weights is not None:
            self._append("weights.f32", rows.weights.astype("<f4"))
        self._n_rows += len(rows)

    def close(self) -> None:
        """Say how many rows there are."""
        text = json.dumps({"n_rows": self._n_rows})
        (self._folder / _FILE).write_text(text, encoding="utf-8")

    def _append(self, name: str, values: NDArray[np.generic]) -> None:
        with (self._folder / name).open("ab") as file:
            values.tofile(file)


def _mapped(path: Path, dtype: type[Number]) -> NDArray[Number]:
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), mode="r")
