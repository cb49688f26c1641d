"""Leaves a shard alone for a moment that did not answer several times in a row."""

from __future__ import annotations

import threading

from vizsla.clock import Clock

__all__ = ["Breaker"]

MISSES = 3
PAUSE_S = 1.0


class Breaker:
    """Without it every request would wait for a dead shard until its deadline.

    After ``MISSES`` misses in a row one search per ``PAUSE_S`` tries the shard, until one of
    them is answered.  Safe to share between threads.

    Args:
        clock: Tells when a pause is over.

    Example:
        >>> from vizsla.clock import FakeClock
        >>> breaker = Breaker(FakeClock())
        >>> for _ in range(3):
        ...     breaker.missed()
        >>> breaker.allows()
        False
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._misses = 0
        self._closed_until_s = 0.0

    def allows(self) -> bool:
        """Return whether to ask the shard now."""
        with self._lock:
            if self._misses < MISSES:
                return True
            now_s = self._clock.monotonic_s()
            if now_s < self._closed_until_s:
                return False
            self._closed_until_s = now_s + PAUSE_S
            return True

    def missed(self) -> None:
        """Take note that it did not answer."""
        with self._lock:
            self._misses += 1
            self._closed_until_s = self._clock.monotonic_s() + PAUSE_S

    def succeeded(self) -> None:
        """Take note that it answered."""
        with self._lock:
            self._misses = 0
