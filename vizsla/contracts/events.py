"""Seam 1: what happened, and the log that every process reads it from.

A record is JSON under a topic, keyed so that all records of one user or item are in order,
with ``event_id``, ``schema_version`` and ``event_timestamp``.  The schema grows by adding
fields only; a reader that meets a version it does not know leaves the record alone.

==========================  =============  ==================================================
topic                       key            records
==========================  =============  ==================================================
``vizsla.events.v1``        ``user_id``    ``vizsla.contracts.user_events``; any partitions
``vizsla.items.v1``         ``item_id``    ``ItemChange``; one partition, the last one counts
``vizsla.deadletter.v1``    as it was      ``DeadLetter``: what could not be used, and why
==========================  =============  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "DEADLETTER_TOPIC",
    "EVENTS_TOPIC",
    "ITEMS_TOPIC",
    "MAX_READ",
    "SCHEMA_VERSION",
    "DeadLetter",
    "EventLog",
    "EventRecord",
    "ItemChange",
    "LoggedRecord",
    "Position",
    "Tail",
]

EVENTS_TOPIC = "vizsla.events.v1"
"""What users did and saw, keyed by ``user_id``."""

ITEMS_TOPIC = "vizsla.items.v1"
"""Changes of items, keyed by ``item_id``; the last one of an item wins."""

DEADLETTER_TOPIC = "vizsla.deadletter.v1"
"""Records that could not be used, with the reason."""

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


class DeadLetter(BaseModel):
    """A record that could not be used; it is kept so that somebody can look at it.

    Attributes:
        topic: Where it came from.
        partition: Its place there.
        offset: Its place there.
        reason: Short and countable: ``not-json``, ``unknown-version``, ``invalid``, ``too-large``,
            ``future`` or ``milliseconds``.
        detail: One line for people: which field, and what is wrong with it.
        value: The record itself, as text; bytes that are no UTF-8 are replaced.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    event_id: _Id
    event_timestamp: float = Field(ge=0)
    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    reason: str
    detail: str
    value: str


class Position(NamedTuple):
    """The place of a record in its topic."""

    partition: int
    offset: int


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
    """A record with its place in its topic.

    Attributes:
        offset: Within its partition.
        record: As it was appended.
        partition: Of its topic.
        logged_at_s: Unix seconds when the log took it; 0 where the log does not know.
    """

    offset: int
    record: EventRecord
    partition: int = 0
    logged_at_s: float = field(default=0.0, compare=False)


class Tail(Protocol):
    """A reader of all partitions of a topic that goes on where it left off."""

    def poll(self, max_records: int = MAX_READ, wait_s: float = 0.0) -> list[LoggedRecord]:
        """Return what came next, at most ``max_records``; those of a partition are in order.

        Args:
            max_records: Bound, at least 1.
            wait_s: Wait so long for the first record; returns at once where there is one.

        Raises:
            LogUnavailableError: The log cannot be read now; a later call goes on.
        """
        ...

    def close(self) -> None:
        """Release what is held; safe to call twice."""
        ...


@runtime_checkable
class EventLog(Protocol):
    """An append-only log of records by topic; many processes may read it while one appends.

    A topic has one partition or several; all records of a key are in one.  Offsets of a
    partition start at 0 and only grow (a broker may leave some out); its *end* is the offset
    that the next record will have at least.  Records below the *start* were trimmed away.
    """

    @property
    def log_id(self) -> str:
        """Tells this log from every other: an offset means nothing elsewhere."""
        ...

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 1 for one that nobody wrote to.

        Raises:
            LogUnavailableError: The log cannot be asked.
        """
        ...

    def append(
        self, topic: str, records: Sequence[EventRecord], *, expected_end: int | None = None
    ) -> list[Position]:
        """Append records, and return their positions once they survive a crash.

        A log of one partition appends all or none.  One with several may have kept some when
        it raises: append them again, a record that is there twice has one ``event_id``.  Where
        the log still knows an event (SQLite: all, a broker: a window of the last ones), its
        first position is returned and nothing is appended.

        Args:
            topic: Where they belong.
            records: In order.
            expected_end: For topics of one partition: what the writer has read up to.  Its
                records were made from what was below it, so they are refused where others have
                appended since.  None appends in any case.

        Raises:
            LogMovedError: The end is not the expected one; nothing was appended.
            LogUnavailableError: The log cannot promise to keep them.
        """
        ...

    def find(self, topic: str, event_id: str) -> LoggedRecord | None:
        """Return the record of an event, None if the log does not know it (see ``append``).

        Raises:
            LogUnavailableError: The log cannot be read.
        """
        ...

    def read(
        self, topic: str, offset: int, max_records: int = MAX_READ, *, partition: int = 0
    ) -> list[LoggedRecord]:
        """Return at most ``max_records`` records at ``offset`` and after it, in order.

        Raises:
            LogUnavailableError: The log cannot be read.
        """
        ...

    def tail(self, topic: str, offsets: Sequence[int]) -> Tail:
        """Follow a topic from these offsets on, one of each partition.

        Raises:
            LogUnavailableError: The log cannot be read.
        """
        ...

    def end(self, topic: str, partition: int = 0) -> int:
        """Return the end of a partition; 0 while it is empty."""
        ...

    def start(self, topic: str, partition: int = 0) -> int:
        """Return the offset below which a partition was trimmed; 0 for never."""
        ...

    def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """Drop the records below an offset, for good; all of them or, after a crash, none.

        Offsets go on as if they were still there.  An event among them is not known any more.
        Nothing is dropped beyond the end, or where more was trimmed already.

        Raises:
            LogUnavailableError: Nothing was dropped.
        """
        ...

    def forget(self, topic: str, key: str, before: Sequence[int]) -> int:
        """Erase the values of a key's records below these offsets, for good, and count them.

        The offsets stay used.  The values cannot be read from the log's own files any more.

        Raises:
            LogUnavailableError: Nothing was erased, or this log cannot erase single records
                (a broker drops them when its retention ends).
        """
        ...

    def close(self) -> None:
        """Release what is held; safe to call twice."""
        ...
