"""Where the time of a search goes, and whether there is any left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vizsla.clock import Clock

__all__ = ["Timed"]

_MICROSECONDS = 1e6


class Timed:
    """Counts the parts of one batch's search, from now on.

    Args:
        clock: For deadlines and times.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts_s = dict.fromkeys(("state", "seed", "score"), 0.0)
        self._started_s = clock.monotonic_s()

    def late(self, deadline_s: float) -> bool:
        """Return whether the deadline has come."""
        return self._clock.monotonic_s() >= deadline_s

    def parts_us(self) -> dict[str, int]:
        """Return microseconds per part so far; what nothing else claims is bookkeeping."""
        total = self._clock.monotonic_s() - self._started_s
        parts = self._parts_s | {"bookkeeping": total - sum(self._parts_s.values())}
        return {name: max(0, round(seconds * _MICROSECONDS)) for name, seconds in parts.items()}

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = self._clock.monotonic_s()
        try:
            yield
        finally:
            self._parts_s[part] += self._clock.monotonic_s() - start
