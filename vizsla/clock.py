"""Time as an argument, so that decisions about deadlines can be tested without waiting."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "FakeClock", "ProcessClock", "SystemClock"]


class Clock(Protocol):
    """What code that needs the time is given."""

    def now_s(self) -> float:
        """Return Unix seconds UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back, for deadlines and durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Return Unix seconds UTC."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


class ProcessClock(SystemClock):
    """Its monotonic seconds are processor time of this process: what others do costs nothing."""

    def monotonic_s(self) -> float:
        """Return the processor seconds that this process has used."""
        return time.process_time()


class FakeClock:
    """A clock that moves only when told to, for tests.

    Example:
        >>> clock = FakeClock(100.0)
        >>> clock.advance(2.5)
        >>> clock.now_s(), clock.monotonic_s()
        (102.5, 102.5)
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._time_s = start_s

    def now_s(self) -> float:
        """Return the set time."""
        return self._time_s

    def monotonic_s(self) -> float:
        """Return the set time."""
        return self._time_s

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._time_s += seconds
