"""What an import found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel, ConfigDict

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import LINE
from vizsla.datasets.checked import CheckedFile

__all__ = ["ColumnSummary", "FileSummary", "ImportSummary", "summarise_file"]


class ColumnSummary(BaseModel):
    """One column of a file.

    Attributes:
        name: Its name, after renaming.
        type: Its type as stored.
        role: What it is for: ``identifier``, ``time``, ``title``, ... or a ``ColumnRole``.
        n_missing: Usable rows without a value.
        n_values: Distinct values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: str
    role: str
    n_missing: int
    n_values: int


class FileSummary(BaseModel):
    """One file: ``n_rows == n_usable + n_quarantined``; blank lines are no rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    n_rows: int
    n_usable: int
    n_quarantined: int
    reasons: dict[str, int]
    columns: list[ColumnSummary]


class ImportSummary(BaseModel):
    """What ``vizsla data import`` reports, kept as ``import.json`` in the dataset directory.

    Attributes:
        name: Of the dataset.
        path: Its directory.
        files: Events, then items, then users, as far as given.
        n_users: Users with an event.
        n_items: Items, those that only events know included.
        event_types: Event type to the number of events.
        event_type_missing: Whether the file has no such column, so that all events are of
            the default type.
        n_duplicates: Events that repeat an earlier row in every column; kept.
        n_events_of_unknown_items: Events of items that the items file lacks; kept.
        first_event: ISO 8601, UTC; None where there is no time.
        last_event: ISO 8601, UTC; None where there is no time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    path: str
    files: list[FileSummary]
    n_users: int
    n_items: int
    event_types: dict[str, int]
    event_type_missing: bool
    n_duplicates: int
    n_events_of_unknown_items: int
    first_event: str | None
    last_event: str | None


_ROLES = {
    "user_id": "identifier",
    "item_id": "identifier",
    "event_timestamp": "time",
    "event_type": "event type",
    "split": "split",
    "title": "title",
}


def summarise_file(
    checked: CheckedFile, frame: pl.DataFrame, features: Sequence[SideFeature]
) -> FileSummary:
    """Summarise one file out of its checked rows and their final columns."""
    roles: dict[str, str] = _ROLES | {feature.name: feature.role for feature in features}
    return FileSummary(
        file=checked.path.name,
        n_rows=checked.n_rows,
        n_usable=checked.good.height,
        n_quarantined=checked.quarantine.height,
        reasons=checked.reasons(),
        columns=[_column(frame[name], roles[name]) for name in frame.columns if name != LINE],
    )


def _column(column: pl.Series, role: str) -> ColumnSummary:
    return ColumnSummary(
        name=column.name,
        type=str(column.dtype),
        role=role,
        n_missing=column.null_count(),
        n_values=column.n_unique(),
    )
