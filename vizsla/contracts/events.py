"""Seam 1: what happened, and the log that every process reads it from.

A record is JSON under a topic, keyed so that all records of one item are in order, with
``event_id``, ``schema_version`` and ``event_timestamp``.  The schema grows by adding
fields only; a reader that meets a version it does not know leaves the record alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "ITEMS_TOPIC",
    "MAX_READ",
    "SCHEMA_VERSION",
    "EventLog",
    "EventRecord",
    "ItemChange",
    "LoggedRecord",
]

ITEMS_TOPIC = "vizsla.items.v1"
"""Changes of items, keyed by ``item_id``; the last one of an item wins."""

SCHEMA_VERSION: Literal[1] = 1
MAX_READ = 1000
"""Most records that one read returns."""

_Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ItemChange(BaseModel):
    """The whole state of an item after a change, so that the last record alone is enough.

    Attributes:
        event_id: Equal ids are one event, however often it was delivered.
        event_timestamp: Unix seconds UTC when it was accepted; records are ordered by the
            log, not by this.
        item_id: The customer's identifier.
        action: ``put`` creates or replaces, ``remove`` takes the item out.
        active: False keeps the item in the catalogue and out of every answer (paused).
        vector: ``(D,)`` the item's vector; None keeps the one that it has.
        vector_space: What ``vector`` was made for: the hash of the model's weights.  Under
            another model it means nothing and ``similar_items`` decides again.
        similar_items: Items whose mean direction ``vector`` is; None where it was given.
        attributes: The item's own columns; None stands for those that the bundle has.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = SCHEMA_VERSION
    event_id: _Id
    event_timestamp: float = Field(ge=0)
    item_id: _Id
    action: Literal["put", "remove"] = "put"
    active: bool = True
    vector: tuple[float, ...] | None = None
    vector_space: str | None = None
    similar_items: tuple[str, ...] | None = None
    attributes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """What is appended.

    Attributes:
        key: Records of one key keep their order.
        event_id: See ``ItemChange``.
        value: UTF-8 JSON.
    """

    key: str
    event_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record with its place in its topic."""

    offset: int
    record: EventRecord


@runtime_checkable
class EventLog(Protocol):
    """An append-only log of records by topic; many processes may read it while one appends.

    Offsets of a topic start at 0 and only grow; the *end* is the offset that the next
    record will have at least.  Records below the *start* were trimmed away.
    """

    @property
    def log_id(self) -> str:
        """Tells this log from every other: an offset means nothing elsewhere."""
        ...

    def append(
        self, topic: str, records: Sequence[EventRecord], *, expected_end: int | None = None
    ) -> list[int]:
        """Append all records or none, and return their offsets once they survive a crash.

        A record whose ``event_id`` the topic already has is not appended again; its
        first offset is returned.

        Args:
            topic: Where they belong.
            records: In order.
            expected_end: What the writer has read up to: its records were made from what
                was below it, so they are refused where others have appended since.  None
                appends in any case.

        Raises:
            LogMovedError: The end is not the expected one; nothing was appended.
            LogUnavailableError: The log cannot promise to keep them; nothing was appended.
        """
        ...

    def find(self, topic: str, event_id: str) -> LoggedRecord | None:
        """Return the record of an event, None if the topic does not have it.

        Raises:
            LogUnavailableError: The log cannot be read.
        """
        ...

    def read(self, topic: str, offset: int, max_records: int = MAX_READ) -> list[LoggedRecord]:
        """Return at most ``max_records`` records at ``offset`` and after it, in order.

        Raises:
            LogUnavailableError: The log cannot be read.
        """
        ...

    def end(self, topic: str) -> int:
        """Return the end of a topic; 0 while it is empty."""
        ...

    def start(self, topic: str) -> int:
        """Return the offset below which a topic was trimmed; 0 for never."""
        ...

    def trim(self, topic: str, before: int) -> None:
        """Drop the records below an offset, for good; all of them or, after a crash, none.

        Offsets go on as if they were still there.  An event among them is not known any more.
        Nothing is dropped beyond the end, or where more was trimmed already.

        Raises:
            LogUnavailableError: Nothing was dropped.
        """
        ...

    def close(self) -> None:
        """Release what is held; safe to call twice."""
        ...
