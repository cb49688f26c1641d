"""What travels between the coordinator and a shard: plain arrays, no objects of a model.

Shapes: **B** queries, **n** items of the shard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.index import SearchOptions, SearchResult

__all__ = ["ShardCall", "reply_bytes"]

_WAY_BACK_RATIO = 0.1
_WAY_BACK_S = 0.002


@dataclass(frozen=True, slots=True)
class ShardCall:
    """One search of one shard.

    Attributes:
        state: The users' state as arrays by name, B rows each.
        options: In the shard's item numbers, without deadline and filters.
        remaining_s: Time for the search, None for no bound; clocks of two machines differ, so no
            moment is sent.
        bitmaps: Packed filters, each once.
        bitmap_of: ``B`` which of them a query has, -1 for none.
    """

    state: Mapping[str, NDArray[Any]]
    options: SearchOptions
    remaining_s: float | None
    bitmaps: tuple[NDArray[np.uint8], ...]
    bitmap_of: tuple[int, ...]

    @classmethod
    def of(
        cls, state: Mapping[str, NDArray[Any]], options: SearchOptions, now_s: float
    ) -> ShardCall:
        """Pack a search; a little of the time is kept for the way back."""
        distinct = {id(bitmap): bitmap for bitmap in options.allowed if bitmap is not None}
        places = {key: place for place, key in enumerate(distinct)}
        return cls(
            state,
            replace(options, deadline_s=None, allowed=()),
            _usable_s(options.deadline_s, now_s),
            tuple(np.packbits(bitmap) for bitmap in distinct.values()),
            tuple(places.get(id(bitmap), -1) for bitmap in options.allowed),
        )

    @property
    def n_queries(self) -> int:
        """Number of queries B."""
        return len(next(iter(self.state.values())))

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (*self.state.values(), *self.options.excluded, *self.bitmaps)
        return sum(array.nbytes for array in arrays)

    def options_at(self, n_items: int, now_s: float) -> SearchOptions:
        """Return what is asked, on the clock of the process that searches ``n`` items."""
        bitmaps = [np.unpackbits(packed, count=n_items).view(np.bool_) for packed in self.bitmaps]
        return replace(
            self.options,
            deadline_s=None if self.remaining_s is None else now_s + self.remaining_s,
            allowed=tuple(bitmaps[place] if place >= 0 else None for place in self.bitmap_of),
        )


def reply_bytes(results: Sequence[SearchResult]) -> int:
    """Return the bytes of the arrays in an answer."""
    return sum(result.item_nums.nbytes + result.scores.nbytes for result in results)


def _usable_s(deadline_s: float | None, now_s: float) -> float | None:
    if deadline_s is None:
        return None
    left_s = deadline_s - now_s
    return left_s - max(_WAY_BACK_RATIO * left_s, _WAY_BACK_S)
