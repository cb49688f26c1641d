"""The embedded event log under kills, foreign files and full disks."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys

import pytest

from feature_store.ingest.logs.sqlite import SqliteEventLog
from vizsla.contracts.events import EventRecord
from vizsla.errors import LogUnavailableError

TOPIC = "test.v1"
WRITER = """
import sys
from pathlib import Path
from feature_store.ingest.logs.sqlite import SqliteEventLog
from vizsla.contracts.events import EventRecord
log = SqliteEventLog(Path(sys.argv[1]))
start = log.end("test.v1")
for number in range(start, start + 100000):
    records = [EventRecord("k", f"{number}-{part}", b"x" * 100) for part in range(3)]
    log.append("test.v1", records)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_on_a_kill(tmp_path):
    """A writer is killed in the middle of its appends, five times; batches are whole."""
    path = tmp_path / "log.sqlite"
    acknowledged = set()
    for wanted in (1, 3, 10, 4, 20):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            acknowledged.update(int(writer.stdout.readline()) for _ in range(wanted))
            writer.send_signal(signal.SIGKILL)
            acknowledged.update(int(line) for line in writer.stdout if line.endswith("\n"))
    log = SqliteEventLog(path)
    found = [logged.record.event_id for logged in log.read(TOPIC, 0)]

    assert {f"{number}-{part}" for number in acknowledged for part in range(3)} <= set(found)
    assert len(found) % 3 == 0
    log.close()


def test_a_second_process_reads_what_one_has_open(tmp_path):
    """Readers see each commit at once, without the writer closing anything."""
    writer, reader = (SqliteEventLog(tmp_path / "log.sqlite") for _ in range(2))
    writer.append(TOPIC, [EventRecord("k", "a", b"{}")])

    assert [logged.record.event_id for logged in reader.read(TOPIC, 0)] == ["a"]
    assert reader.log_id == writer.log_id
    writer.close()
    reader.close()


def test_a_file_that_is_no_log_is_refused(tmp_path):
    """The message names the file."""
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"not a database, and long enough to be sure of it" * 10)

    with pytest.raises(LogUnavailableError, match=r"log\.sqlite cannot be opened"):
        SqliteEventLog(path)


def test_a_log_of_another_version_is_refused(tmp_path):
    """Its records would be misread."""
    path = tmp_path / "log.sqlite"
    SqliteEventLog(path).close()
    with sqlite3.connect(path) as database:
        database.execute("update facts set value = '9' where name = 'format_version'")
    database.close()

    with pytest.raises(LogUnavailableError, match="another version"):
        SqliteEventLog(path)


def test_a_full_disk_takes_nothing_and_says_so(tmp_path):
    """An append that does not fit leaves the log as it was, and the next one works."""
    log = SqliteEventLog(tmp_path / "log.sqlite")
    log.append(TOPIC, [EventRecord("k", "a", b"{}")])
    log._open.execute("pragma max_page_count = 12")

    with pytest.raises(LogUnavailableError, match="full"):
        log.append(TOPIC, [EventRecord("k", f"big-{row}", b"x" * 9000) for row in range(20)])
    assert log.end(TOPIC) == 1
    assert log.append(TOPIC, [EventRecord("k", "b", b"{}")]) == [(0, 1)]
    log.close()


def test_a_closed_log_refuses(tmp_path):
    """Using it again is an error with a name, not a crash."""
    log = SqliteEventLog(tmp_path / "log.sqlite")
    log.close()
    log.close()

    with pytest.raises(LogUnavailableError, match="closed"):
        log.read(TOPIC, 0)
