"""A customer's own files into a dataset directory."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from vizsla.clock import Clock
from vizsla.contracts.features import DatasetManifest, Order, SideFeature
from vizsla.datasets.base import LINE, Progress, Tables, silent
from vizsla.datasets.checked import EVENT_COLUMNS, CheckedFile, check_entities, check_events
from vizsla.datasets.fetching import DATASETS, data_home
from vizsla.datasets.quarantine import SCHEMA
from vizsla.datasets.roles import assign_roles
from vizsla.datasets.schema import ImportSchema
from vizsla.datasets.storage import Draft, write
from vizsla.datasets.summary import FileSummary, ImportSummary, summarise_file
from vizsla.datasets.table_files import open_table
from vizsla.datasets.validation import DEFAULT_EVENT_TYPE
from vizsla.errors import UsageError

__all__ = ["ImportRequest", "check_name", "import_files"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import and how to read it.

    Attributes:
        name: Of the dataset: lower-case letters, digits, ``. _ -``; none of ``DATASETS``.
        events: File of events.
        items: File of items; None takes the items out of the events.
        users: File of users, or None.
        schema: Pinned roles and names.
        order: What ``event_timestamp`` means; with ``none`` the column may be missing.
        repeats: Whether a user meets the same item again and should get it again.
    """

    name: str
    events: Path
    items: Path | None = None
    users: Path | None = None
    schema: ImportSchema = field(default_factory=ImportSchema)
    order: Order = "time"
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """One table ready to be written."""

    frame: pl.DataFrame
    features: list[SideFeature]
    quarantine: pl.DataFrame
    summary: FileSummary


def import_files(
    request: ImportRequest,
    home: Path,
    clock: Clock,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> tuple[Path, ImportSummary]:
    """Check files row by row and write them as ``home/data/<name>``.

    A row that cannot be used goes to ``quarantine.jsonl`` in the directory, with its line
    number and the reason.  Events of items that the items file lacks are kept and counted;
    such items have no features.  Nothing is written when it fails.

    Args:
        request: What to import.
        home: Vizsla's home folder.
        clock: Tells which timestamps lie in the future.
        force: Replace a dataset of that name.
        progress: Told of rows read.

    Raises:
        UsageError: The name cannot be used, is taken, or a file has an unknown suffix.
        NotFoundError: A file does not exist.
        DataError: A file cannot be used at all; one line that names file, line or column.
    """
    directory = check_name(request.name, home, force=force)
    events = _events(request, clock.now_s(), progress)
    items = _entities(request.items, "item_id", request, progress)
    users = _entities(request.users, "user_id", request, progress)
    tables = Tables(
        events.frame,
        _complete_items(items, events.frame["item_id"]),
        None if users is None else users.frame,
    )
    summary = _summary(request, directory, [events, items, users], tables)
    parts = [part for part in (events, items, users) if part is not None]
    quarantine = pl.concat([pl.DataFrame(schema=SCHEMA), *(p.quarantine for p in parts)])
    extra = {"import.json": summary.model_dump_json(indent=2) + "\n"}
    draft = Draft(_manifest(request, events, items, users), tables, quarantine, extra)
    write(directory, draft, replace=force)
    return directory, summary


def check_name(name: str, home: Path, *, force: bool, taken: Collection[str] = DATASETS) -> Path:
    """Return the directory for a dataset of the customer's own.

    Raises:
        UsageError: The name cannot be used, is one of ``taken``, or is there already.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a dataset: use up to 64 lower-case letters, digits, '.', '_', '-'"
        )
    if name in taken:
        raise UsageError(f"{name!r} is the name of a public dataset: choose another with --name")
    directory = data_home(home) / name
    if directory.exists() and not force:
        raise UsageError(f"{directory} is there already: choose another --name, or add --force")
    return directory


def _events(request: ImportRequest, now_s: float, progress: Progress) -> _Part:
    schema = request.schema.events
    checked = check_events(
        open_table(request.events), schema.rename, request.order, now_s, progress
    )
    frame, roles = assign_roles(checked.good, set(EVENT_COLUMNS), schema.columns, request.events)
    summary = summarise_file(checked, frame, roles)
    if "event_type" not in frame.columns:
        frame = frame.with_columns(pl.lit(DEFAULT_EVENT_TYPE).alias("event_type"))
    order = [name for name in EVENT_COLUMNS if name in frame.columns]
    return _Part(frame.select(*order, pl.exclude(*order, LINE)), roles, checked.quarantine, summary)


def _entities(
    path: Path | None, key: str, request: ImportRequest, progress: Progress
) -> _Part | None:
    if path is None:
        return None
    schema = request.schema.items if key == "item_id" else request.schema.users
    checked = check_entities(open_table(path), key, schema.rename, progress)
    titled = _with_title(checked) if key == "item_id" else checked.good
    fixed = {key, "title"} if key == "item_id" else {key}
    frame, roles = assign_roles(titled, fixed, schema.columns, path)
    summary = summarise_file(checked, frame, roles)
    return _Part(frame.drop(LINE), roles, checked.quarantine, summary)


def _with_title(checked: CheckedFile) -> pl.DataFrame:
    good = checked.good
    title = pl.col("title").cast(pl.String) if "title" in good.columns else pl.lit(None, pl.String)
    return good.with_columns(title.alias("title"))


def _complete_items(items: _Part | None, used: pl.Series) -> pl.DataFrame:
    """Append the items that only events know, identifiers ascending."""
    used = used.unique()
    if items is None:
        ids = pl.DataFrame({"item_id": used.sort()})
        return ids.with_columns(pl.lit(None, pl.String).alias("title"))
    unknown = used.filter(~used.is_in(items.frame["item_id"].implode())).sort()
    return pl.concat([items.frame, pl.DataFrame({"item_id": unknown})], how="diagonal")


def _manifest(
    request: ImportRequest, events: _Part, items: _Part | None, users: _Part | None
) -> DatasetManifest:
    files = [path.name for path in (request.events, request.items, request.users) if path]
    return DatasetManifest(
        name=request.name,
        source=", ".join(files),
        licence="own data",
        order=request.order,
        given_split="split" in events.frame.columns,
        repeats=request.repeats,
        item_features=items.features if items else [],
        user_features=users.features if users else [],
        n_interactions=0,
        n_users=0,
        n_items=0,
        content_hash="",
    )


def _summary(
    request: ImportRequest, directory: Path, parts: list[_Part | None], tables: Tables
) -> ImportSummary:
    events = tables.interactions
    known = parts[1].frame["item_id"] if parts[1] else tables.items["item_id"]
    times = events["event_timestamp"]
    types = (
        events["event_type"].value_counts().sort("count", "event_type", descending=[True, False])
    )
    return ImportSummary(
        name=request.name,
        path=str(directory),
        files=[part.summary for part in parts if part is not None],
        n_users=events["user_id"].n_unique(),
        n_items=tables.items.height,
        event_types=dict(types.iter_rows()),
        event_type_missing="event_type" not in _names(parts[0]),
        n_duplicates=events.height - events.hash_rows().n_unique(),
        n_events_of_unknown_items=int((~events["item_id"].is_in(known.implode())).sum()),
        first_event=_iso(times.min()) if request.order == "time" else None,
        last_event=_iso(times.max()) if request.order == "time" else None,
    )


def _names(part: _Part | None) -> list[str]:
    return [column.name for column in part.summary.columns] if part else []


def _iso(seconds: object) -> str | None:
    if not isinstance(seconds, float):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
