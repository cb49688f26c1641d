"""An event log in memory, and the conformance suite that every event log must pass.

::

    @pytest.mark.parametrize("check", EVENT_LOG_CHECKS)
    def test_conforms(check, tmp_path):
        EVENT_LOG_CHECKS[check](lambda: MyLog(tmp_path / "log"))

Each call of the opener must give a log over the same records, as a restart would.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

from vizsla.clock import Clock, SystemClock
from vizsla.contracts.events import (
    ITEMS_TOPIC,
    MAX_READ,
    EventLog,
    EventRecord,
    LoggedRecord,
    Position,
    Tail,
)
from vizsla.errors import LogMovedError, LogUnavailableError

__all__ = ["EVENT_LOG_CHECKS", "MemoryEventLog", "OpenLog"]

OpenLog = Callable[[], EventLog]
"""Opens the log under test; every call sees what the others appended."""

_TOPIC = "suite.v1"


class MemoryEventLog:
    """An ``EventLog`` that lives as long as its process.

    Args:
        log_id: See ``EventLog``.
        n_partitions: Of every topic but the item topic, which has one.
        clock: Says when records were logged; None takes the machine's.

    Attributes:
        broken: While True every append is refused, as by a full disk.
    """

    def __init__(
        self, log_id: str = "memory", n_partitions: int = 1, clock: Clock | None = None
    ) -> None:
        self.broken = False
        self._log_id = log_id
        self._n_partitions = n_partitions
        self._clock = clock or SystemClock()
        self._lock = threading.Condition(threading.RLock())
        self._logs: dict[tuple[str, int], list[LoggedRecord]] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._known: dict[tuple[str, str], Position] = {}

    @property
    def log_id(self) -> str:
        """As given."""
        return self._log_id

    def partitions(self, topic: str) -> int:
        """As given."""
        return 1 if topic == ITEMS_TOPIC else self._n_partitions

    def append(
        self, topic: str, records: Sequence[EventRecord], *, expected_end: int | None = None
    ) -> list[Position]:
        """Append all; see ``EventLog``."""
        if self.broken:
            raise LogUnavailableError("the log is broken on purpose")
        with self._lock:
            if expected_end is not None and self.end(topic) != expected_end:
                raise LogMovedError(f"the log ends at {self.end(topic)}, not at {expected_end}")
            places = [self._put(topic, record) for record in records]
            self._lock.notify_all()
            return places

    def read(
        self, topic: str, offset: int, max_records: int = MAX_READ, *, partition: int = 0
    ) -> list[LoggedRecord]:
        """Return records from an offset on; see ``EventLog``."""
        log = self._logs.get((topic, partition), [])
        first = bisect_left(log, offset, key=lambda logged: logged.offset)
        return log[first : first + min(max_records, MAX_READ)]

    def find(self, topic: str, event_id: str) -> LoggedRecord | None:
        """Return the record of an event; see ``EventLog``."""
        place = self._known.get((topic, event_id))
        found = (
            [] if place is None else self.read(topic, place.offset, 1, partition=place.partition)
        )
        return found[0] if found and found[0].record.event_id == event_id else None

    def tail(self, topic: str, offsets: Sequence[int]) -> Tail:
        """Follow a topic; see ``EventLog``."""
        return _MemoryTail(self, topic, offsets)

    def end(self, topic: str, partition: int = 0) -> int:
        """Return the end of a partition."""
        return self._ends.get((topic, partition), 0)

    def start(self, topic: str, partition: int = 0) -> int:
        """Return where a partition begins."""
        return self._starts.get((topic, partition), 0)

    def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """Drop the first records; see ``EventLog``."""
        with self._lock:
            place = (topic, partition)
            start = max(self.start(*place), min(before, self.end(*place)))
            log = self._logs.get(place, [])
            self._starts[place] = start
            self._logs[place] = [logged for logged in log if logged.offset >= start]
            for logged in log[: len(log) - len(self._logs[place])]:
                del self._known[topic, logged.record.event_id]

    def forget(self, topic: str, key: str, before: Sequence[int]) -> int:
        """Drop a key's records; see ``EventLog``."""
        with self._lock:
            n_forgotten = 0
            for partition, end in enumerate(before):
                log = self._logs.get((topic, partition), [])
                kept = [one for one in log if one.record.key != key or one.offset >= end]
                n_forgotten += len(log) - len(kept)
                self._logs[topic, partition] = kept
            return n_forgotten

    def wait(self, wait_s: float) -> None:
        """Wait until something is appended, at most so long."""
        with self._lock:
            self._lock.wait(wait_s)

    def close(self) -> None:
        """Keep everything: it may be opened again."""

    def _put(self, topic: str, record: EventRecord) -> Position:
        partition = crc32(record.key.encode()) % self.partitions(topic)
        place = Position(partition, self.end(topic, partition))
        known = self._known.setdefault((topic, record.event_id), place)
        if known is place:
            logged = LoggedRecord(place.offset, record, partition, self._clock.now_s())
            self._logs.setdefault((topic, partition), []).append(logged)
            self._ends[topic, partition] = place.offset + 1
        return known


class _MemoryTail:
    def __init__(self, log: MemoryEventLog, topic: str, offsets: Sequence[int]) -> None:
        self._log = log
        self._topic = topic
        self._offsets = list(offsets)

    def poll(self, max_records: int = MAX_READ, wait_s: float = 0.0) -> list[LoggedRecord]:
        found = self._read(max_records)
        if found or wait_s <= 0:
            return found
        self._log.wait(wait_s)
        return self._read(max_records)

    def close(self) -> None:
        pass

    def _read(self, max_records: int) -> list[LoggedRecord]:
        found: list[LoggedRecord] = []
        for partition, offset in enumerate(self._offsets):
            left = max_records - len(found)
            records = self._log.read(self._topic, offset, left, partition=partition)
            if records:
                self._offsets[partition] = records[-1].offset + 1
            found += records
        return found


def _append(log: EventLog, records: Sequence[EventRecord], end: int | None = None) -> list[int]:
    return [place.offset for place in log.append(_TOPIC, records, expected_end=end)]


def _records(*names: str) -> list[EventRecord]:
    return [EventRecord(f"key-{name}", name, f'{{"n": "{name}"}}'.encode()) for name in names]


def _expect(truth: bool, what: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not truth:
        raise AssertionError(what)


def _starts_empty(open_log: OpenLog) -> None:
    """A topic nobody wrote to ends at 0 and has nothing to read."""
    log = open_log()
    _expect(log.end(_TOPIC) == 0, "the end of an empty topic is not 0")
    _expect(log.read(_TOPIC, 0) == [], "an empty topic has records")
    _expect(_append(log, []) == [], "appending nothing returned offsets")
    log.close()


def _returns_what_was_appended(open_log: OpenLog) -> None:
    """Records come back whole and in order, from any offset."""
    log = open_log()
    records = _records("a", "b", "c")
    offsets = _append(log, records[:2]) + _append(log, records[2:])
    _expect(offsets == sorted(set(offsets)), f"offsets do not grow: {offsets}")
    for first in range(3):
        found = log.read(_TOPIC, offsets[first])
        expected = [LoggedRecord(*pair) for pair in zip(offsets, records, strict=True)][first:]
        _expect(found == expected, f"from {first}: {found}")
    _expect(log.end(_TOPIC) > offsets[-1], "the end is not after the last record")
    log.close()


def _survives_opening_again(open_log: OpenLog) -> None:
    """What was acknowledged is there after closing and opening, under the same log id."""
    first = open_log()
    offsets = _append(first, _records("a", "b"))
    known = first.log_id
    first.close()
    second = open_log()
    _expect([found.offset for found in second.read(_TOPIC, 0)] == offsets, "records are gone")
    _expect(second.log_id == known, "another log id")
    _expect(_append(second, _records("c"))[0] > offsets[-1], "an offset was used again")
    second.close()


def _counts_an_event_once(open_log: OpenLog) -> None:
    """An event id that is there already is not appended again, in one call or later."""
    log = open_log()
    a, b = _append(log, _records("a", "b"))
    again = _append(log, _records("b", "c", "c", "a"))
    _expect((again[0], again[3]) == (b, a), f"other offsets for known events: {again}")
    _expect(again[1] == again[2], "one event has two offsets")
    found = [logged.record.event_id for logged in log.read(_TOPIC, 0)]
    _expect(found == ["a", "b", "c"], f"events: {found}")
    log.close()


def _finds_an_event(open_log: OpenLog) -> None:
    """An event id leads to its record, in its topic, until it is trimmed."""
    log = open_log()
    (first, _) = records = _records("a", "b")
    _append(log, records)
    _expect(log.find(_TOPIC, "a") == LoggedRecord(0, first), "the event was not found")
    _expect(log.find(_TOPIC, "c") is None, "an event was found that is not there")
    _expect(log.find("other.v1", "a") is None, "an event of another topic was found")
    log.trim(_TOPIC, 1)
    _expect(log.find(_TOPIC, "a") is None, "a trimmed event was found")
    log.close()


def _appends_only_where_it_is_expected(open_log: OpenLog) -> None:
    """With an expected end nothing is written after what the writer has not read."""
    log = open_log()
    _append(log, _records("a"), 0)
    for wrong in (0, 2):
        try:
            _append(log, _records("b", "c"), wrong)
        except LogMovedError:
            continue
        _expect(False, f"appended at 1 where {wrong} was expected")
    _expect(log.end(_TOPIC) == 1, "something of a refused append was written")
    _expect(_append(log, _records("b"), 1) == [1], "the right end was refused")
    log.close()


def _one_of_many_writers_is_first(open_log: OpenLog) -> None:
    """Of concurrent appends that expect the same end exactly one is taken."""
    log = open_log()

    def taken(name: str) -> bool:
        try:
            _append(log, _records(name), 0)
        except LogMovedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(taken, "abcd"))
    _expect(sum(won) == 1, f"{sum(won)} of 4 appends expected the same end and were taken")
    _expect(log.end(_TOPIC) == 1, "more than one record was written")
    log.close()


def _reads_are_bounded(open_log: OpenLog) -> None:
    """A read returns at most what was asked for, and never more than ``MAX_READ``."""
    log = open_log()
    names = [f"e{row}" for row in range(MAX_READ + 5)]
    _append(log, _records(*names))
    _expect(len(log.read(_TOPIC, 0, 3)) == 3, "more than asked for")
    _expect(len(log.read(_TOPIC, 0, 10 * MAX_READ)) == MAX_READ, "more than MAX_READ")
    log.close()


def _topics_are_apart(open_log: OpenLog) -> None:
    """Two topics share neither records nor event ids."""
    log = open_log()
    log.append("left.v1", _records("a"))
    log.append("right.v1", _records("a", "b"))
    _expect(log.end("left.v1") == 1, "the left topic has another end")
    _expect(len(log.read("right.v1", 0)) == 2, "the right topic lacks a record")
    log.close()


def _appends_from_many_threads(open_log: OpenLog) -> None:
    """Concurrent appends are all kept, each batch in its own order."""
    log = open_log()
    batches = [_records(*(f"{writer}-{row}" for row in range(20))) for writer in range(4)]
    with ThreadPoolExecutor(4) as pool:
        offsets = list(pool.map(lambda batch: _append(log, batch), batches))
    _expect(len({offset for batch in offsets for offset in batch}) == 80, "offsets were shared")
    for batch, given in zip(batches, offsets, strict=True):
        _expect(given == sorted(given), "a batch lost its order")
        found = [log.read(_TOPIC, offset, 1)[0].record for offset in given]
        _expect(found == batch, "a record is not at its offset")
    log.close()


def _trims_its_first_records(open_log: OpenLog) -> None:
    """What is trimmed is gone for good, all offsets stay, and a trim never goes back."""
    log = open_log()
    offsets = _append(log, _records("a", "b", "c"))
    end = log.end(_TOPIC)
    _expect(log.start(_TOPIC) == 0, "a whole topic does not start at 0")
    log.trim(_TOPIC, offsets[2])
    log.trim(_TOPIC, offsets[1])
    log.close()
    again = open_log()
    _expect(again.start(_TOPIC) == offsets[2], f"it starts at {again.start(_TOPIC)}")
    found = [logged.offset for logged in again.read(_TOPIC, 0)]
    _expect(found == offsets[2:], f"offsets after a trim: {found}")
    _expect(again.end(_TOPIC) == end, "a trim moved the end")
    _expect(_append(again, _records("c")) == offsets[2:], "a kept event is not known")
    _expect(_append(again, _records("a"))[0] >= end, "an offset was used again")
    again.close()


def _trims_everything(open_log: OpenLog) -> None:
    """A topic without records goes on at its end, and other topics are left alone."""
    log = open_log()
    log.append("other.v1", _records("a"))
    _append(log, _records("a", "b"))
    end = log.end(_TOPIC)
    log.trim(_TOPIC, end + 7)
    log.close()
    again = open_log()
    _expect(again.read(_TOPIC, 0) == [], "records are left")
    _expect((again.start(_TOPIC), again.end(_TOPIC)) == (end, end), "start or end moved")
    _expect(_append(again, _records("c"))[0] >= end, "an offset was used again")
    _expect((again.start("other.v1"), again.end("other.v1")) == (0, 1), "another topic changed")
    again.close()


EVENT_LOG_CHECKS: Mapping[str, Callable[[OpenLog], None]] = {
    check.__name__.removeprefix("_"): check
    for check in (
        _starts_empty,
        _returns_what_was_appended,
        _survives_opening_again,
        _counts_an_event_once,
        _finds_an_event,
        _appends_only_where_it_is_expected,
        _one_of_many_writers_is_first,
        _reads_are_bounded,
        _topics_are_apart,
        _appends_from_many_threads,
        _trims_its_first_records,
        _trims_everything,
    )
}
"""Name to check; each raises ``AssertionError`` with what is wrong."""
