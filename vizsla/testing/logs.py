"""An event log in memory, and the conformance suite that every event log must pass.

::

    @pytest.mark.parametrize("check", EVENT_LOG_CHECKS)
    def test_conforms(check, tmp_path):
        EVENT_LOG_CHECKS[check](lambda: MyLog(tmp_path / "log"))

Each call of the opener must give a log over the same records, as a restart would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from vizsla.contracts.events import MAX_READ, EventLog, EventRecord, LoggedRecord
from vizsla.errors import LogMovedError, LogUnavailableError

__all__ = ["EVENT_LOG_CHECKS", "MemoryEventLog", "OpenLog"]

OpenLog = Callable[[], EventLog]
"""Opens the log under test; every call sees what the others appended."""

_TOPIC = "suite.v1"


class MemoryEventLog:
    """An ``EventLog`` that lives as long as its process.

    Args:
        log_id: See ``EventLog``.

    Attributes:
        broken: While True every append is refused, as by a full disk.
    """

    def __init__(self, log_id: str = "memory") -> None:
        self.broken = False
        self._log_id = log_id
        self._lock = threading.Lock()
        self._topics: dict[str, list[LoggedRecord]] = {}
        self._starts: dict[str, int] = {}
        self._known: dict[tuple[str, str], int] = {}

    @property
    def log_id(self) -> str:
        """As given."""
        return self._log_id

    def append(
        self, topic: str, records: Sequence[EventRecord], *, expected_end: int | None = None
    ) -> list[int]:
        """Append all; see ``EventLog``."""
        if self.broken:
            raise LogUnavailableError("the log is broken on purpose")
        with self._lock:
            if expected_end is not None and self.end(topic) != expected_end:
                raise LogMovedError(f"the log ends at {self.end(topic)}, not at {expected_end}")
            return [self._put(topic, record) for record in records]

    def read(self, topic: str, offset: int, max_records: int = MAX_READ) -> list[LoggedRecord]:
        """Return records from an offset on; see ``EventLog``."""
        first = max(0, offset - self.start(topic))
        return self._topics.get(topic, [])[first : first + min(max_records, MAX_READ)]

    def find(self, topic: str, event_id: str) -> LoggedRecord | None:
        """Return the record of an event; see ``EventLog``."""
        offset = self._known.get((topic, event_id))
        return None if offset is None else self.read(topic, offset, 1)[0]

    def end(self, topic: str) -> int:
        """Return the end of a topic."""
        return self.start(topic) + len(self._topics.get(topic, []))

    def start(self, topic: str) -> int:
        """Return where a topic begins."""
        return self._starts.get(topic, 0)

    def trim(self, topic: str, before: int) -> None:
        """Drop the first records; see ``EventLog``."""
        with self._lock:
            n_dropped = max(0, min(before, self.end(topic)) - self.start(topic))
            dropped = self._topics.get(topic, [])[:n_dropped]
            self._topics[topic] = self._topics.get(topic, [])[n_dropped:]
            self._starts[topic] = self.start(topic) + n_dropped
            for logged in dropped:
                del self._known[topic, logged.record.event_id]

    def close(self) -> None:
        """Keep everything: it may be opened again."""

    def _put(self, topic: str, record: EventRecord) -> int:
        log, end = self._topics.setdefault(topic, []), self.end(topic)
        offset = self._known.setdefault((topic, record.event_id), end)
        if offset == end:
            log.append(LoggedRecord(offset, record))
        return offset


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
    _expect(log.append(_TOPIC, []) == [], "appending nothing returned offsets")
    log.close()


def _returns_what_was_appended(open_log: OpenLog) -> None:
    """Records come back whole and in order, from any offset."""
    log = open_log()
    records = _records("a", "b", "c")
    offsets = log.append(_TOPIC, records[:2]) + log.append(_TOPIC, records[2:])
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
    offsets = first.append(_TOPIC, _records("a", "b"))
    known = first.log_id
    first.close()
    second = open_log()
    _expect([found.offset for found in second.read(_TOPIC, 0)] == offsets, "records are gone")
    _expect(second.log_id == known, "another log id")
    _expect(second.append(_TOPIC, _records("c"))[0] > offsets[-1], "an offset was used again")
    second.close()


def _counts_an_event_once(open_log: OpenLog) -> None:
    """An event id that is there already is not appended again, in one call or later."""
    log = open_log()
    a, b = log.append(_TOPIC, _records("a", "b"))
    again = log.append(_TOPIC, _records("b", "c", "c", "a"))
    _expect((again[0], again[3]) == (b, a), f"other offsets for known events: {again}")
    _expect(again[1] == again[2], "one event has two offsets")
    found = [logged.record.event_id for logged in log.read(_TOPIC, 0)]
    _expect(found == ["a", "b", "c"], f"events: {found}")
    log.close()


def _finds_an_event(open_log: OpenLog) -> None:
    """An event id leads to its record, in its topic, until it is trimmed."""
    log = open_log()
    (first, _) = records = _records("a", "b")
    log.append(_TOPIC, records)
    _expect(log.find(_TOPIC, "a") == LoggedRecord(0, first), "the event was not found")
    _expect(log.find(_TOPIC, "c") is None, "an event was found that is not there")
    _expect(log.find("other.v1", "a") is None, "an event of another topic was found")
    log.trim(_TOPIC, 1)
    _expect(log.find(_TOPIC, "a") is None, "a trimmed event was found")
    log.close()


def _appends_only_where_it_is_expected(open_log: OpenLog) -> None:
    """With an expected end nothing is written after what the writer has not read."""
    log = open_log()
    log.append(_TOPIC, _records("a"), expected_end=0)
    for wrong in (0, 2):
        try:
            log.append(_TOPIC, _records("b", "c"), expected_end=wrong)
        except LogMovedError:
            continue
        _expect(False, f"appended at 1 where {wrong} was expected")
    _expect(log.end(_TOPIC) == 1, "something of a refused append was written")
    _expect(log.append(_TOPIC, _records("b"), expected_end=1) == [1], "the right end was refused")
    log.close()


def _one_of_many_writers_is_first(open_log: OpenLog) -> None:
    """Of concurrent appends that expect the same end exactly one is taken."""
    log = open_log()

    def taken(name: str) -> bool:
        try:
            log.append(_TOPIC, _records(name), expected_end=0)
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
    log.append(_TOPIC, _records(*names))
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
        offsets = list(pool.map(lambda batch: log.append(_TOPIC, batch), batches))
    _expect(len({offset for batch in offsets for offset in batch}) == 80, "offsets were shared")
    for batch, given in zip(batches, offsets, strict=True):
        _expect(given == sorted(given), "a batch lost its order")
        found = [log.read(_TOPIC, offset, 1)[0].record for offset in given]
        _expect(found == batch, "a record is not at its offset")
    log.close()


def _trims_its_first_records(open_log: OpenLog) -> None:
    """What is trimmed is gone for good, all offsets stay, and a trim never goes back."""
    log = open_log()
    offsets = log.append(_TOPIC, _records("a", "b", "c"))
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
    _expect(again.append(_TOPIC, _records("c")) == offsets[2:], "a kept event is not known")
    _expect(again.append(_TOPIC, _records("a"))[0] >= end, "an offset was used again")
    again.close()


def _trims_everything(open_log: OpenLog) -> None:
    """A topic without records goes on at its end, and other topics are left alone."""
    log = open_log()
    log.append("other.v1", _records("a"))
    log.append(_TOPIC, _records("a", "b"))
    end = log.end(_TOPIC)
    log.trim(_TOPIC, end + 7)
    log.close()
    again = open_log()
    _expect(again.read(_TOPIC, 0) == [], "records are left")
    _expect((again.start(_TOPIC), again.end(_TOPIC)) == (end, end), "start or end moved")
    _expect(again.append(_TOPIC, _records("c"))[0] >= end, "an offset was used again")
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
