"""Every event log does what the contract says."""

from __future__ import annotations

import pytest

from feature_store.ingest.logs.sqlite import SqliteEventLog
from vizsla.contracts.events import EventLog
from vizsla.testing.logs import EVENT_LOG_CHECKS, MemoryEventLog


@pytest.mark.parametrize("check", EVENT_LOG_CHECKS)
def test_the_embedded_log_conforms(check, tmp_path):
    """The SQLite log passes the published suite."""
    log = SqliteEventLog(tmp_path / "a.sqlite")
    log.close()

    assert isinstance(log, EventLog)
    EVENT_LOG_CHECKS[check](lambda: SqliteEventLog(tmp_path / "log" / "log.sqlite"))


@pytest.mark.parametrize("check", EVENT_LOG_CHECKS)
def test_the_fake_conforms(check):
    """The log in memory passes it too, so that tests with it mean something."""
    log = MemoryEventLog()

    EVENT_LOG_CHECKS[check](lambda: log)
