"""The item log as a stream of changes, from where a bundle ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from graph_index.live.items import LiveItems
from graph_index.live.states import Applied
from vizsla.contracts.bundle import Manifest
from vizsla.contracts.events import ITEMS_TOPIC, MAX_READ, EventLog, ItemChange, LoggedRecord
from vizsla.errors import IncompatibleArtifactError

__all__ = ["apply_log", "decoded", "default_log_file", "start_offset"]

_log = logging.getLogger("vizsla.serving")


def default_log_file(bundle_dir: Path) -> Path:
    """Return the item log of the run directory that a bundle lies in, or one beside the bundle."""
    in_a_run = bundle_dir.parent.name == "bundles"
    return (bundle_dir.parent.parent if in_a_run else bundle_dir.parent) / "items.sqlite"


def start_offset(manifest: Manifest, log: EventLog, log_file: Path) -> int:
    """Return where to read on: after what the bundle holds, if it came from this log.

    Raises:
        IncompatibleArtifactError: The log ends before that, or was trimmed beyond it.
    """
    held = manifest.changes
    offset = 0 if held is None or held.log_id != log.log_id else held.offset
    end, start = log.end(ITEMS_TOPIC), log.start(ITEMS_TOPIC)
    if end < offset:
        raise IncompatibleArtifactError(
            f"{log_file}: ends at {end}, but the bundle holds changes up to {offset}; "
            "put the whole log back, or move it away to begin another"
        )
    if offset < start:
        raise IncompatibleArtifactError(
            f"{log_file}: begins at {start}, but the bundle holds changes up to {offset} only; "
            "use the bundle that it was trimmed for, or a later one, or move the log away and lose "
            "the changes in between"
        )
    return offset


def apply_log(items: LiveItems, log: EventLog) -> Iterator[Applied]:
    """Apply what the log has from the catalogue's offset to its end, in bounded pieces.

    A long stretch, as at a start, is first reduced to the last change of each item.
    A record that is no change is passed over and counted as skipped.

    Raises:
        IncompatibleArtifactError: The log was trimmed beyond the catalogue's offset.
    """
    unreadable = [0]
    if log.end(ITEMS_TOPIC) - items.offset > MAX_READ:
        yield items.replay(_read(items.offset, log, unreadable))
    for changes, offset in _read(items.offset, log, unreadable):
        yield items.apply(changes, offset)
    yield Applied(n_skipped=unreadable[0])


def _read(
    offset: int, log: EventLog, unreadable: list[int]
) -> Iterator[tuple[list[ItemChange], int]]:
    """Yield changes with where to read on; counts into ``unreadable``."""
    while True:
        records = log.read(ITEMS_TOPIC, offset)
        if offset < log.start(ITEMS_TOPIC):
            raise IncompatibleArtifactError(
                f"the item log was trimmed up to {log.start(ITEMS_TOPIC)} before it was read from "
                f"{offset} on; start again with the bundle that it was trimmed for"
            )
        if not records:
            return
        changes = [change for record in records if (change := decoded(record)) is not None]
        unreadable[0] += len(records) - len(changes)
        offset = records[-1].offset + 1
        yield changes, offset


def decoded(logged: LoggedRecord) -> ItemChange | None:
    """Return the change that a record holds, None (and a warning) if it holds none."""
    try:
        return ItemChange.model_validate_json(logged.record.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        _log.warning("item log, offset %s: %s: %s; passed over", logged.offset, where, first["msg"])
        return None
