"""The embedded event log: one SQLite file that loses nothing on a kill and needs no broker."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from feature_store.ingest.logs.polling import PollingTail
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.events import MAX_READ, EventRecord, LoggedRecord, Position, Tail
from vizsla.errors import LogMovedError, LogUnavailableError

__all__ = ["SqliteEventLog"]

FORMAT_VERSION = "2"
_UPGRADED = "1"
_BUSY_S = 5.0
_START = "start/"
_SCHEMA = """
create table if not exists facts (name text primary key, value text not null) without rowid;
create table if not exists records (
  topic text not null, offset integer not null, key text not null, event_id text not null,
  value blob not null, logged_at real not null default 0,
  primary key (topic, offset), unique (topic, event_id)
) without rowid;
"""
_COLUMN = "alter table records add column logged_at real not null default 0"
_READ = "select offset, key, event_id, value, logged_at from records "


class SqliteEventLog:
    """An ``EventLog`` in one file, in write-ahead mode with a flush to disk per commit.

    Any number of processes of one machine may read and append; SQLite lets one append at a
    time.  The file must not lie on a network file system, where its locks do not hold.

    Every topic has one partition.

    Args:
        path: The file; made, with its folder, if it is not there.
        clock: Says when records were logged; None takes the machine's.

    Raises:
        LogUnavailableError: It cannot be opened or made, or is no log.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None
        with self._told("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open = _connected(path)
        self._log_id = self._fact("log_id")
        if self._fact("format_version") == _UPGRADED:
            self._upgrade()
        if self._fact("format_version") != FORMAT_VERSION:
            self.close()
            raise LogUnavailableError(f"{path}: written by another version of this program")

    @property
    def log_id(self) -> str:
        """Made when the file was; see ``EventLog``."""
        return self._log_id

    def partitions(self, topic: str) -> int:
        """Return 1; see ``EventLog``."""
        return 1

    def append(
        self, topic: str, records: Sequence[EventRecord], *, expected_end: int | None = None
    ) -> list[Position]:
        """Append all or none, on disk before it returns; see ``EventLog``."""
        now_s = self._clock.now_s()
        with self._told("written") as database, database:
            database.execute("begin immediate")
            if expected_end is not None and (end := _end(database, topic)) != expected_end:
                raise LogMovedError(f"{self._path} ends at {end}, not at {expected_end}")
            return [Position(0, _put(database, topic, record, now_s)) for record in records]

    def read(
        self, topic: str, offset: int, max_records: int = MAX_READ, *, partition: int = 0
    ) -> list[LoggedRecord]:
        """Return records from an offset on; see ``EventLog``."""
        with self._told("read") as database:
            rows = database.execute(
                f"{_READ} where topic = ? and offset >= ? and key <> '' order by offset limit ?",
                (topic, offset, min(max_records, MAX_READ)),
            ).fetchall()
        return [_logged(row) for row in rows]

    def find(self, topic: str, event_id: str) -> LoggedRecord | None:
        """Return the record of an event; see ``EventLog``."""
        with self._told("read") as database:
            row = database.execute(
                f"{_READ} where topic = ? and event_id = ? and key <> ''", (topic, event_id)
            ).fetchone()
        return _logged(row) if row else None

    def tail(self, topic: str, offsets: Sequence[int]) -> Tail:
        """Follow a topic; see ``EventLog``."""
        return PollingTail(self, topic, offsets)

    def end(self, topic: str, partition: int = 0) -> int:
        """Return the end of a topic; see ``EventLog``."""
        with self._told("read") as database:
            return _end(database, topic)

    def start(self, topic: str, partition: int = 0) -> int:
        """Return where a topic begins; see ``EventLog``."""
        with self._told("read") as database:
            return _start(database, topic)

    def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """Drop the first records; see ``EventLog``.  The file keeps its size and fills it again."""
        with self._told("written") as database, database:
            database.execute("begin immediate")
            start = min(before, _end(database, topic))
            if start > _start(database, topic):
                fact = (_START + topic, str(start))
                database.execute("insert or replace into facts values (?, ?)", fact)
                database.execute(
                    "delete from records where topic = ? and offset < ?", (topic, start)
                )

    def forget(self, topic: str, key: str, before: Sequence[int]) -> int:
        """Overwrite a key's records; see ``EventLog``.

        Their event ids stay, so that a late copy of one is not taken for a new event.
        """
        with self._told("written") as database:
            with database:
                database.execute("begin immediate")
                found = database.execute(
                    "update records set key = '', value = x'' "
                    "where topic = ? and key = ? and offset < ?",
                    (topic, key, before[0]),
                )
            # the old pages are in the write-ahead log until it is emptied
            database.execute("pragma wal_checkpoint(truncate)")
            return found.rowcount

    def close(self) -> None:
        """Close the file; later calls raise ``LogUnavailableError``."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = None

    def _upgrade(self) -> None:
        """Add what version 1 did not have; a process of version 1 must not have it open."""
        with self._told("written") as database, database:
            database.execute("begin immediate")
            columns = {row[1] for row in database.execute("pragma table_info(records)")}
            if "logged_at" not in columns:
                database.execute(_COLUMN)
            database.execute(
                "update facts set value = ? where name = 'format_version'", (FORMAT_VERSION,)
            )

    def _fact(self, name: str) -> str:
        with self._told("read") as database:
            row = database.execute("select value from facts where name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def _told(self, what: str) -> Iterator[sqlite3.Connection]:
        """Hold the connection; say in one line what SQLite refuses."""
        with self._lock:
            try:
                if self._open is None and what != "opened":
                    raise sqlite3.ProgrammingError("it is closed")
                yield self._open  # type: ignore[misc]  # None only while it is being opened
            except (sqlite3.Error, OSError) as error:
                raise LogUnavailableError(f"{self._path} cannot be {what}: {error}") from None


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        database.execute("pragma secure_delete = on")
        database.executescript(f"begin immediate; {_SCHEMA} commit;")
        facts = {"log_id": secrets.token_hex(16), "format_version": FORMAT_VERSION}
        with database:
            database.executemany("insert or ignore into facts values (?, ?)", list(facts.items()))
    except BaseException:
        database.close()
        raise
    return database


def _end(database: sqlite3.Connection, topic: str) -> int:
    row = database.execute("select max(offset) from records where topic = ?", (topic,)).fetchone()
    # a topic that is all trimmed goes on where it was
    return _start(database, topic) if row[0] is None else int(row[0]) + 1


def _start(database: sqlite3.Connection, topic: str) -> int:
    fact = (_START + topic,)
    row = database.execute("select value from facts where name = ?", fact).fetchone()
    return 0 if row is None else int(row[0])


def _put(database: sqlite3.Connection, topic: str, record: EventRecord, now_s: float) -> int:
    """Insert a record at the end, unless its event is there already."""
    known = database.execute(
        "select offset from records where topic = ? and event_id = ?", (topic, record.event_id)
    ).fetchone()
    if known:
        return int(known[0])
    offset = _end(database, topic)
    row = (topic, offset, record.key, record.event_id, record.value, now_s)
    database.execute("insert into records values (?, ?, ?, ?, ?, ?)", row)
    return offset


def _logged(row: tuple[int, str, str, bytes, float]) -> LoggedRecord:
    offset, key, event_id, value, logged_at_s = row
    return LoggedRecord(offset, EventRecord(key, event_id, bytes(value)), logged_at_s=logged_at_s)
