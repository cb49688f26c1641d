"""One customer's file, read, renamed, checked: the good rows and the quarantine."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vizsla.contracts.features import Order
from vizsla.datasets.base import LINE, Progress
from vizsla.datasets.quarantine import Quarantine
from vizsla.datasets.table_files import TableFile
from vizsla.datasets.validation import (
    REASON,
    TIME,
    event_checks,
    first_reason,
    id_checks,
    id_text,
    time_kind,
    time_seconds,
)
from vizsla.errors import DataError

__all__ = ["EVENT_COLUMNS", "CheckedFile", "check_entities", "check_events"]

MIXED_TIMES_RATIO = 0.01
EVENT_COLUMNS = ("user_id", "item_id", "event_timestamp", "event_type", "split")
OTHER_KIND = "event_timestamp is written otherwise than in the first rows (numbers and ISO 8601)"

Prepare = Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.Expr]]
"""From a raw batch to the batch in our types and the reason to refuse each row."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """What came out of one file.

    Attributes:
        path: The file.
        good: Usable rows with ``LINE``, in the order of the file.
        quarantine: Refused rows.
    """

    path: Path
    good: pl.DataFrame
    quarantine: pl.DataFrame

    @property
    def n_rows(self) -> int:
        """Rows in all, blank lines not counted."""
        return self.good.height + self.quarantine.height

    def reasons(self) -> dict[str, int]:
        """Return how many rows were refused for which reason, most frequent first."""
        counts = self.quarantine["reason"].value_counts()
        return dict(counts.sort("count", "reason", descending=[True, False]).iter_rows())


def check_events(
    file: TableFile, rename: Mapping[str, str], order: Order, now_s: float, progress: Progress
) -> CheckedFile:
    """Read a file of events; ``event_timestamp`` becomes Unix seconds, identifiers text.

    Raises:
        DataError: A column is missing or of a wrong type, times are written in two ways, or
            no row is usable.
    """
    required = ["user_id", "item_id", *(["event_timestamp"] if order != "none" else [])]
    number_times: list[bool] = []

    def prepare(batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.Expr]:
        if "event_timestamp" not in batch.columns:
            batch = batch.with_columns(pl.lit(0.0).alias("event_timestamp"))
        dtype = batch.schema["event_timestamp"]
        _check_time_type(file.path, dtype)
        kind = time_kind("event_timestamp", dtype)
        if not number_times:
            number_times.append(_kind_of_file(batch, kind))
        other = pl.when(kind != number_times[0]).then(pl.lit(OTHER_KIND))
        timed = batch.with_columns(time_seconds("event_timestamp", dtype).alias(TIME))
        checks = event_checks(timed.columns, order, now_s)
        return timed, first_reason([*checks, other])

    checked = _checked(file, rename, required, prepare, progress)
    _refuse_mixed_times(checked)
    good = checked.good.drop("event_timestamp").rename({TIME: "event_timestamp"})
    return CheckedFile(file.path, good, checked.quarantine)


def check_entities(
    file: TableFile, key: str, rename: Mapping[str, str], progress: Progress
) -> CheckedFile:
    """Read a file of items or users; the first row of an identifier counts.

    Raises:
        DataError: The identifier column is missing or of a wrong type, or no row is usable.
    """

    def prepare(batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.Expr]:
        return batch, first_reason(id_checks(key))

    checked = _checked(file, rename, [key], prepare, progress)
    again = checked.good.filter(~pl.col(key).is_first_distinct())
    quarantine = Quarantine(file.path)
    quarantine.add_rows(
        again.with_columns(pl.lit(f"{key} occurs in an earlier row").alias(REASON)),
        [name for name in again.columns if name != LINE],
    )
    refused = pl.concat([checked.quarantine, quarantine.frame()]).sort("line")
    good = checked.good.filter(pl.col(key).is_first_distinct())
    return CheckedFile(file.path, good, refused)


def _checked(
    file: TableFile,
    rename: Mapping[str, str],
    required: list[str],
    prepare: Prepare,
    progress: Progress,
) -> CheckedFile:
    quarantine = Quarantine(file.path)
    good: list[pl.DataFrame] = []
    n_rows = 0
    for batch in _renamed(file, rename, required, quarantine):
        raw_columns = [name for name in batch.columns if name != LINE]
        prepared, reason = prepare(_with_text_ids(batch, file.path))
        judged = prepared.with_columns(reason)
        bad = judged[REASON].is_not_null()
        if bad.any():
            quarantine.add_rows(batch.with_columns(judged[REASON]).filter(bad), raw_columns)
        good.append(judged.filter(~bad).drop(REASON))
        n_rows += batch.height
        progress(f"reading {file.path.name}", n_rows, None)
    checked = CheckedFile(
        file.path, pl.concat(good) if good else pl.DataFrame(), quarantine.frame()
    )
    _refuse_unusable(checked)
    return checked


def _renamed(
    file: TableFile, rename: Mapping[str, str], required: list[str], quarantine: Quarantine
) -> Iterator[pl.DataFrame]:
    for batch in file.batches(quarantine.add_line):
        absent = [name for name in rename if name not in batch.columns]
        if absent:
            raise DataError(
                f"{file.path}: the schema renames column {absent[0]!r}, which is missing"
            )
        frame = batch.rename(dict(rename))
        _check_columns(file.path, frame, required)
        yield frame


def _check_columns(path: Path, frame: pl.DataFrame, required: list[str]) -> None:
    present = [name for name in frame.columns if name != LINE]
    for name in required:
        if name not in present:
            others = [other for other in present if other not in EVENT_COLUMNS]
            near = difflib.get_close_matches(name, others, n=1, cutoff=0.5)
            hint = (
                f"; if that is {near[0]!r}, rename it or use [...rename] in --schema"
                if near
                else ""
            )
            raise DataError(
                f"{path}: column {name!r} is missing (it has: {', '.join(present)}){hint}"
            )


def _with_text_ids(batch: pl.DataFrame, path: Path) -> pl.DataFrame:
    names = [n for n in ("user_id", "item_id", "event_type", "split") if n in batch.columns]
    for name in names:
        dtype = batch.schema[name]
        if not (dtype == pl.String or dtype.is_numeric() or dtype == pl.Null):
            raise DataError(
                f"{path}: column {name!r} holds {dtype}; text or whole numbers are needed"
            )
    return batch.with_columns(id_text(name, batch.schema[name]) for name in names)


def _check_time_type(path: Path, dtype: pl.DataType) -> None:
    fits = dtype in (pl.String, pl.Datetime, pl.Date, pl.Null) or dtype.is_numeric()
    if not fits:
        raise DataError(
            f"{path}: column 'event_timestamp' holds {dtype}; Unix seconds or ISO 8601 are needed"
        )


def _kind_of_file(batch: pl.DataFrame, kind: pl.Expr) -> bool:
    share = batch.select(kind.mean().alias("share"))["share"][0]
    return share is None or share >= 0.5


def _refuse_mixed_times(checked: CheckedFile) -> None:
    other = checked.quarantine.filter(pl.col("reason") == OTHER_KIND)
    if other.height > MIXED_TIMES_RATIO * checked.n_rows:
        raise DataError(
            f"{checked.path}: column 'event_timestamp' mixes numbers and ISO 8601 "
            f"(line {checked.good[LINE][0]} and line {other['line'][0]}); write all in one way"
        )


def _refuse_unusable(checked: CheckedFile) -> None:
    if checked.good.height:
        return
    if not checked.quarantine.height:
        raise DataError(f"{checked.path}: there is no row in it")
    reason, count = next(iter(checked.reasons().items()))
    line = checked.quarantine.filter(pl.col("reason") == reason)["line"][0]
    raise DataError(
        f"{checked.path}: no usable row of {checked.n_rows}: {reason} "
        f"({count} rows, the first at line {line})"
    )
