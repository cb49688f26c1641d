"""A customer's labelled rows into a training frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from vizsla.contracts.features import FrameSplit, SplitCounts, TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.base import LINE, Progress, silent
from vizsla.datasets.fetching import DATASETS
from vizsla.datasets.frames.columns import ColumnChoice, infer_fields
from vizsla.datasets.frames.converting import converted_field, converted_label, first_reasons
from vizsla.datasets.frames.fetching import FRAMES
from vizsla.datasets.frames.schema import FrameSchema, schema_text
from vizsla.datasets.frames.splitting import (
    SPLIT,
    TIME_COLUMN,
    Splitter,
    splitter_of,
    times_of,
)
from vizsla.datasets.frames.storage import SPLITS, FrameDraft, write_frame
from vizsla.datasets.importing import check_name
from vizsla.datasets.quarantine import Quarantine
from vizsla.datasets.table_files import TableFile, open_table
from vizsla.datasets.validation import REASON
from vizsla.errors import DataError

__all__ = ["FrameImport", "FrameImportSummary", "import_frame"]

LOOK_ROWS = 1 << 20
"""Rows from which fields are inferred."""


@dataclass(frozen=True, slots=True)
class FrameImport:
    """What to import and how to read it.

    Attributes:
        name: Of the frame.
        rows: File of rows: Parquet, CSV or JSON Lines.
        label: Column of the label: 0 or 1, true or false.
        schema: Pinned fields; None infers them.
        split_by: ``random``, ``time`` (column ``event_timestamp``), or a column that holds
            train, valid and test.
        seed: Of the random split.
    """

    name: str
    rows: Path
    label: str
    schema: FrameSchema | None = None
    split_by: str = "random"
    seed: int = 0


class FrameImportSummary(BaseModel):
    """What ``vizsla data import-frame`` reports, kept as ``import.json`` in the frame.

    Attributes:
        name: Of the frame.
        path: Its directory.
        n_rows: Rows of the file, blank lines not counted.
        n_quarantined: Those refused; they are in ``quarantine.jsonl``.
        reasons: Why, with the number of rows each.
        columns: What became of each column.
        splits: Rows of each part.
        remarks: What to look at before training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    path: str
    n_rows: int
    n_quarantined: int
    reasons: dict[str, int]
    columns: list[ColumnChoice]
    splits: dict[FrameSplit, SplitCounts]
    remarks: list[str]


def import_frame(
    request: FrameImport, home: Path, *, force: bool = False, progress: Progress = silent
) -> tuple[Path, FrameImportSummary]:
    """Check rows and write them as the frame ``home/data/<name>``, in bounded memory.

    A row whose label or numbers cannot be read goes to ``quarantine.jsonl`` with its line
    number.  The fields go to ``fields.toml``, to be changed and given as ``schema``.

    Raises:
        UsageError: The name cannot be used or is taken, or the file has an unknown suffix.
        NotFoundError: The file does not exist.
        DataError: The file cannot be used: a column is missing or of another kind than its
            field, no row is usable, or training labels are all the same.
    """
    directory = check_name(request.name, home, force=force, taken={*DATASETS, *FRAMES})
    file = open_table(request.rows)
    columns = _columns(request, file)
    fields = [one.field for one in columns if one.field is not None]
    if not fields:
        raise DataError(f"{request.rows}: no column of it can be a field")
    pass_ = _Pass(request, file, fields, splitter_of(request.split_by, request.seed, file))
    texts: dict[str, str] = {"fields.toml": schema_text(fields)}
    draft = FrameDraft(_manifest(request, fields), pass_.rows(texts), texts=texts)
    manifest = write_frame(directory, draft, replace=force, progress=progress)
    summary = FrameImportSummary(
        name=request.name,
        path=str(directory),
        n_rows=pass_.n_rows,
        n_quarantined=sum(pass_.reasons.values()),
        reasons=dict(pass_.reasons.most_common()),
        columns=columns,
        splits=manifest.splits,
        remarks=_remarks(manifest),
    )
    return directory, summary


def _columns(request: FrameImport, file: TableFile) -> list[ColumnChoice]:
    rows = _first_rows(file)
    if request.label not in rows.columns:
        present = ", ".join(name for name in rows.columns if name != LINE)
        raise DataError(f"{file.path}: column {request.label!r} is missing (it has: {present})")
    if request.schema is None:
        taken = {request.label, TIME_COLUMN, "weight"}
        split = set() if request.split_by in ("random", "time") else {request.split_by}
        return infer_fields(rows, taken | split, file.path)
    return [_pinned(field, rows, file.path) for field in request.schema.fields]


def _pinned(field: FieldSpec, rows: pl.DataFrame, path: Path) -> ColumnChoice:
    if field.name not in rows.columns:
        present = ", ".join(name for name in rows.columns if name != LINE)
        raise DataError(f"{path}: the schema has field {field.name!r}; columns are: {present}")
    column = rows[field.name]
    return ColumnChoice(
        name=field.name,
        type=str(column.dtype),
        field=field,
        reason="pinned",
        n_values=0 if column.dtype.is_nested() else column.drop_nulls().n_unique(),
        n_missing=column.null_count(),
    )


def _first_rows(file: TableFile) -> pl.DataFrame:
    held: list[pl.DataFrame] = []
    for batch in file.batches(lambda *_: None):
        held.append(batch)
        if sum(one.height for one in held) >= LOOK_ROWS:
            break
    if not held or not any(one.height for one in held):
        raise DataError(f"{file.path}: there is no row in it")
    return pl.concat(held).head(LOOK_ROWS)


class _Pass:
    """One reading of the file: good rows out, the others counted and kept."""

    def __init__(
        self, request: FrameImport, file: TableFile, fields: list[FieldSpec], splitter: Splitter
    ) -> None:
        self._request, self._file, self._fields, self._splitter = request, file, fields, splitter
        self._quarantine = Quarantine(file.path)
        self.n_rows = 0
        self.reasons: Counter[str] = Counter()

    def rows(self, texts: dict[str, str]) -> Iterator[tuple[FrameSplit, pl.DataFrame]]:
        """Yield good rows; at the end, what was refused is in ``texts``."""
        n_good = 0
        for batch in self._file.batches(self._quarantine.add_line):
            table, reasons = self._converted(batch)
            bad = reasons.is_not_null()
            if bad.any():
                self._refuse(batch, reasons, bad)
            good = table.filter(~bad)
            n_good += good.height
            for split in SPLITS:
                yield split, good.filter(pl.col(SPLIT) == split).drop(SPLIT)
        refused = self._quarantine.frame()
        self.reasons = Counter(dict(refused["reason"].value_counts().iter_rows()))
        self.n_rows = n_good + refused.height
        if not n_good:
            raise _unusable(self._file.path, refused)
        if refused.height:
            texts["quarantine.jsonl"] = refused.write_ndjson()

    def _converted(self, batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        path = self._file.path
        label, of_label = converted_label(batch[self._request.label])
        split, of_split = self._splitter.split(batch)
        columns, reasons = [label, split], [of_label, of_split]
        for field in self._fields:
            column, of_field = converted_field(batch[field.name], field, path)
            columns.append(column)
            reasons.append(of_field)
        if TIME_COLUMN in batch.columns:
            columns.append(times_of(batch))
        if "weight" in batch.columns:
            columns.append(batch["weight"].cast(pl.Float32, strict=False).fill_null(1.0))
        return pl.DataFrame(columns), first_reasons(reasons)

    def _refuse(self, batch: pl.DataFrame, reasons: pl.Series, bad: pl.Series) -> None:
        raw = [name for name in batch.columns if name != LINE]
        self._quarantine.add_rows(batch.with_columns(reasons.alias(REASON)).filter(bad), raw)


def _unusable(path: Path, refused: pl.DataFrame) -> DataError:
    if not refused.height:
        return DataError(f"{path}: there is no row in it")
    first = refused.row(0, named=True)
    return DataError(
        f"{path}: no usable row of {refused.height}: {first['reason']} (line {first['line']})"
    )


def _manifest(request: FrameImport, fields: list[FieldSpec]) -> TrainingFrame:
    how = (
        f"{request.split_by}, seed {request.seed}"
        if request.split_by == "random"
        else request.split_by
    )
    return TrainingFrame(
        name=request.name,
        source=f"{request.rows.name}; split by {how}",
        licence="own data",
        label_rule=f"column {request.label}",
        fields=fields,
        splits={},
        content_hash="",
    )


def _remarks(manifest: TrainingFrame) -> list[str]:
    """Say which held-out parts cannot measure a ranking."""
    return [
        f"{split}: {counts.n_positive:,} of {counts.n_rows:,} rows are positive; "
        "AUC needs both classes"
        for split, counts in manifest.splits.items()
        if counts.n_positive in (0, counts.n_rows)
    ]
