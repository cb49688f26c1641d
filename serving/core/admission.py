"""Refuse early what could not be answered in time."""

from __future__ import annotations

import math

__all__ = ["Admission"]


class Admission:
    """Bounds the requests in flight; the rest is shed with a time to come back.

    Not thread-safe: the event loop owns it.

    Args:
        max_in_flight: Requests worked on or waiting for a search thread at once.

    Example:
        >>> door = Admission(max_in_flight=1)
        >>> door.enter(), door.enter()
        (True, False)
        >>> door.leave(took_s=0.02)
        >>> door.enter()
        True
    """

    SMOOTHING = 0.1

    def __init__(self, max_in_flight: int) -> None:
        self._max = max_in_flight
        self._mean_s = 0.0
        self.in_flight = 0

    def enter(self) -> bool:
        """Take a place, or return False when all are taken."""
        if self.in_flight >= self._max:
            return False
        self.in_flight += 1
        return True

    def leave(self, took_s: float) -> None:
        """Give the place back and learn how long a request takes."""
        self.in_flight -= 1
        self._mean_s += self.SMOOTHING * (took_s - self._mean_s)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds until the present requests should be through, at least 1."""
        return max(1, math.ceil(self._mean_s * self.in_flight))
