"""When the graph of a running server is led around its removed items."""

from __future__ import annotations

from graph_index.live.graph import LiveGraph
from vizsla.clock import Clock

__all__ = ["HealingSchedule"]

_MANY = 64
_MANY_PER_ITEM = 1 / 1000
_MOST_OUTDATED = 3


class HealingSchedule:
    """Says when a pass over the whole table is worth it: for many removed items, or old ones.

    Args:
        clock: Time.
        after_s: How long a few removed items may wait.
    """

    def __init__(self, clock: Clock, after_s: float) -> None:
        self._clock = clock
        self._after_s = after_s
        self._since_s: float | None = None
        self._n_outdated = 0

    @property
    def has_to_be_now(self) -> bool:
        """Whether inserts have outdated so many passes that they have to wait for the next."""
        return self._n_outdated >= _MOST_OUTDATED

    def is_due(self, live: LiveGraph) -> bool:
        """Return whether a pass is worth it now; called again and again."""
        if not live.n_unhealed:
            self._since_s = None
            return False
        now_s = self._clock.monotonic_s()
        if self._since_s is None:
            self._since_s = now_s
        many = max(_MANY, live.n_places * _MANY_PER_ITEM)
        return live.n_unhealed >= many or now_s - self._since_s >= self._after_s

    def note(self, n_healed: int) -> None:
        """Take into account what a pass came to; 0 for one that was outdated."""
        if n_healed:
            self._since_s, self._n_outdated = None, 0
        else:
            self._n_outdated += 1
