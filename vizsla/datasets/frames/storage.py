"""Training frames on disk: written as a stream, whole or not at all, in row groups of one size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import polars as pl
from pyarrow import parquet

from vizsla.contracts.features import FrameSplit, SplitCounts, TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.base import Progress, silent
from vizsla.datasets.hashing import content_hash
from vizsla.datasets.storage import published
from vizsla.errors import ContractError, DataError

__all__ = [
    "FORMAT_VERSION",
    "GROUP_ROWS",
    "MANIFEST",
    "RESERVED",
    "SPLITS",
    "FrameDraft",
    "write_frame",
]

FORMAT_VERSION = 1
MANIFEST = "frame.json"
SPLITS: tuple[FrameSplit, ...] = ("train", "valid", "test")
GROUP_ROWS = 65_536
GROUPS_PER_FILE = 64
RESERVED = ("label", "weight", "event_timestamp")

Rows = Iterable[tuple[FrameSplit, pl.DataFrame]]
"""Rows with the split that they belong to, in any portions."""


@dataclass(frozen=True, slots=True)
class FrameDraft:
    """A frame about to be written.

    Attributes:
        manifest: Its counts and content hash are filled in by ``write_frame``.
        rows: Read once; the same columns in every portion.
        n_rows: In all, where that is known, for the progress.
        texts: Further small files, name to content; read after the rows.
    """

    manifest: TrainingFrame
    rows: Rows
    n_rows: int | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def write_frame(
    directory: Path, draft: FrameDraft, *, replace: bool = False, progress: Progress = silent
) -> TrainingFrame:
    """Write a frame directory atomically and return its completed manifest.

    Memory holds a row group per split, however many rows there are.

    Args:
        directory: Where to; left as it is when it exists, unless ``replace``.
        draft: What to write.
        replace: Put the new directory in the place of an existing one.
        progress: Told of rows written.

    Raises:
        DataError: A label is neither 0 nor 1, or training rows do not have both.
        ContractError: A portion lacks a column, or a field has a reserved name.
    """
    _check_names(draft.manifest.fields)
    with published(directory, replace=replace) as temporary:
        counts, digest = _written(temporary, draft, progress)
        _check_both_labels(draft.manifest.name, counts["train"])
        manifest = draft.manifest.model_copy(update={"splits": counts, "content_hash": digest})
        texts = {**draft.texts, MANIFEST: manifest.model_dump_json(indent=2) + "\n"}
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return manifest


def _check_names(fields: list[FieldSpec]) -> None:
    for one in fields:
        if one.name in RESERVED:
            raise ContractError(f"a field cannot have the name {one.name!r} of another column")


def _check_both_labels(name: str, train: SplitCounts) -> None:
    if not train.n_rows:
        raise DataError(f"{name}: no training row in it")
    if train.n_positive in (0, train.n_rows):
        label = int(train.n_positive > 0)
        raise DataError(f"{name}: the label of every training row is {label}; both are needed")


def _written(
    directory: Path, draft: FrameDraft, progress: Progress
) -> tuple[dict[FrameSplit, SplitCounts], str]:
    names = ["label", *(one.name for one in draft.manifest.fields)]
    done = 0
    writers = {split: _SplitWriter(directory / split) for split in SPLITS}
    for split, rows in draft.rows:
        writers[split].add(_checked(rows, names))
        done += rows.height
        progress("writing rows", done, draft.n_rows)
    digest = hashlib.sha256()
    counts: dict[FrameSplit, SplitCounts] = {}
    for split, writer in writers.items():
        with writer:
            counts[split] = SplitCounts(n_rows=writer.n_rows, n_positive=writer.n_positive)
        digest.update(f"{split} {writer.hash}\n".encode())
    return counts, digest.hexdigest()


def _checked(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Return rows with the label as float32.

    Raises:
        DataError: A label is neither 0 nor 1.
        ContractError: A column is missing.
    """
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise ContractError(f"rows of a frame lack the column {missing[0]!r}")
    label = rows["label"]
    if not (label.dtype.is_numeric() or label.dtype == pl.Boolean):
        raise DataError(f"column 'label' holds {label.dtype}; only 0 and 1 are labels")
    label = label.cast(pl.Float32)
    wrong = label.filter(((label != 0) & (label != 1)).fill_null(value=True))
    if len(wrong):
        raise DataError(f"column 'label' holds {wrong[0]!r}; only 0 and 1 are labels")
    return rows.with_columns(label)


class _SplitWriter:
    """Writes one split: full row groups as soon as there are enough rows, the rest at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self._held: list[pl.DataFrame] = []
        self._n_held = 0
        self._n_groups = 0
        self._file: parquet.ParquetWriter | None = None
        self._digest = hashlib.sha256()
        self.n_rows = 0
        self.n_positive = 0

    @property
    def hash(self) -> str:
        """Over what was written."""
        return self._digest.hexdigest()

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows in."""
        self._held.append(rows)
        self._n_held += rows.height
        if self._n_held < GROUP_ROWS:
            return
        held = pl.concat(self._held)
        full = held.height - held.height % GROUP_ROWS
        for start in range(0, full, GROUP_ROWS):
            self._write(held.slice(start, GROUP_ROWS))
        self._held, self._n_held = [held.slice(full)], held.height - full

    def __enter__(self) -> _SplitWriter:
        """Write what is left."""
        if self._n_held:
            self._write(pl.concat(self._held))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, group: pl.DataFrame) -> None:
        table = group.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._n_groups % GROUPS_PER_FILE == 0:
            if self._file is not None:
                self._file.close()
            path = self._directory / f"part-{self._n_groups // GROUPS_PER_FILE:05}.parquet"
            self._file = parquet.ParquetWriter(path, table.schema, compression="zstd")
        assert self._file is not None
        self._file.write_table(table, row_group_size=GROUP_ROWS)
        self._digest.update(content_hash([("group", group)]).encode())
        self._n_groups += 1
        self.n_rows += group.height
        self.n_positive += int(group["label"].sum())
