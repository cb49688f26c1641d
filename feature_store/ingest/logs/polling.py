"""A tail over a log that can only be asked."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vizsla.contracts.events import MAX_READ, EventLog, LoggedRecord

__all__ = ["PollingTail"]

_PAUSE_S = 0.005


class PollingTail:
    """Reads every partition in turn, and asks again every few milliseconds while it waits.

    Args:
        log: Read from; not closed.
        topic: What is followed.
        offsets: Where to begin, one of each partition.
    """

    def __init__(self, log: EventLog, topic: str, offsets: Sequence[int]) -> None:
        self._log = log
        self._topic = topic
        self._offsets = list(offsets)

    def poll(self, max_records: int = MAX_READ, wait_s: float = 0.0) -> list[LoggedRecord]:
        """Return what came next; see ``Tail``."""
        deadline_s = time.monotonic() + wait_s
        while not (found := self._read(max_records)) and time.monotonic() < deadline_s:
            time.sleep(_PAUSE_S)
        return found

    def close(self) -> None:
        """Nothing is held."""

    def _read(self, max_records: int) -> list[LoggedRecord]:
        found: list[LoggedRecord] = []
        for partition, offset in enumerate(self._offsets):
            left = max_records - len(found)
            if left <= 0:
                break
            records = self._log.read(self._topic, offset, left, partition=partition)
            if records:
                self._offsets[partition] = records[-1].offset + 1
            found += records
        return found
