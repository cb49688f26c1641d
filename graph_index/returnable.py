"""Which items may be returned to which query of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.index import SearchOptions
from vizsla.errors import ContractError

__all__ = ["Returnable", "checked_allowed"]


class Returnable:
    """What is alive, allowed by the query's filter, and not excluded from it.

    Queries with the same bitmap (the same array) share one.

    Args:
        alive: ``(N,)`` bool.
        excluded: One array of distinct item numbers per query.
        allowed: One ``(N,)`` bitmap per query, None where everything is.

    Example:
        >>> alive = np.array([True, False, True])
        >>> some = Returnable(alive, [np.array([0]), np.array([], int)], [None, None])
        >>> [some.items(0).tolist(), some.items(1).tolist()], some.counts.tolist()
        ([[2], [0, 2]], [1, 2])
    """

    def __init__(
        self,
        alive: NDArray[np.bool_],
        excluded: Sequence[NDArray[np.int64]],
        allowed: Sequence[NDArray[np.bool_] | None],
    ) -> None:
        self.excluded = list(excluded)
        distinct = {id(bitmap): bitmap for bitmap in allowed}
        rows = {key: row for row, key in enumerate(distinct)}
        self._masks = [alive if bitmap is None else bitmap & alive for bitmap in distinct.values()]
        self._mask_of = np.array([rows[id(bitmap)] for bitmap in allowed], np.int64)
        self.filtered = np.array([bitmap is not None for bitmap in allowed], np.bool_)
        """``(B,)`` whether a query has a bitmap."""
        per_mask = [int(np.count_nonzero(mask)) for mask in self._masks]
        self._everything = all(n == len(alive) for n in per_mask)
        self.counts = np.array(
            [
                per_mask[row] - int(np.count_nonzero(self._masks[row][items]))
                for row, items in zip(self._mask_of.tolist(), self.excluded, strict=True)
            ],
            np.int64,
        )
        """``(B,)`` how many items may be returned to each query."""

    def part(self, members: Sequence[int]) -> Returnable:
        """Return the same for some of the queries, in that order."""
        part = object.__new__(Returnable)
        part.excluded = [self.excluded[query] for query in members]
        part._masks, part._everything = self._masks, self._everything
        part.filtered = self.filtered[list(members)]
        part._mask_of, part.counts = self._mask_of[list(members)], self.counts[list(members)]
        return part

    def passes(
        self, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which candidates a walk may score; without a filter, all."""
        within = self.within_masks(query_of, item_nums)
        if within is None:
            return np.ones(len(item_nums), np.bool_)
        return within | ~self.filtered[query_of]

    def items(self, query: int) -> NDArray[np.int64]:
        """Return the items that may be returned to a query, ascending."""
        mask = self.mask(query)
        return np.arange(len(self._masks[0])) if mask is None else np.flatnonzero(mask)

    def within_masks(
        self, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.bool_] | None:
        """Return which candidates are alive and allowed, exclusions apart; None for all of them."""
        if self._everything:
            return None
        if len(self._masks) == 1:
            return self._masks[0][item_nums]
        rows = self._mask_of[query_of]
        found = np.empty(len(item_nums), np.bool_)
        for row in np.unique(rows):
            mine = rows == row
            found[mine] = self._masks[row][item_nums[mine]]
        return found

    def open_mask(self, query: int) -> NDArray[np.bool_] | None:
        """Return ``(N,)`` what is alive and allowed, exclusions apart; None for everything."""
        return None if self._everything else self.within(query)

    def within(self, query: int) -> NDArray[np.bool_]:
        """Return ``(N,)`` what is alive and allowed, exclusions apart; not to be changed."""
        within: NDArray[np.bool_] = self._masks[self._mask_of[query]]
        return within

    def mask(self, query: int) -> NDArray[np.bool_] | None:
        """Return ``(N,)`` which items may be returned to a query, not to be changed; None for all."""
        if not len(self.excluded[query]):
            return None if self._everything else self.within(query)
        mask: NDArray[np.bool_] = self.within(query).copy()
        mask[self.excluded[query]] = False
        return mask

    def hide(self, query: int, scores: NDArray[np.float32]) -> None:
        """Put minus infinity into ``(N,)`` scores wherever an item may not be returned."""
        scores[self.excluded[query]] = -np.inf
        if not self._everything:
            scores[~self._masks[self._mask_of[query]]] = -np.inf


def checked_allowed(
    options: SearchOptions, n_queries: int, n_items: int
) -> list[NDArray[np.bool_] | None]:
    """Return one bitmap or None per query.

    Raises:
        ContractError: Not one per query, or not ``(N,)`` bool.
    """
    if not options.allowed:
        return [None] * n_queries
    if len(options.allowed) != n_queries:
        raise ContractError(f"allowed: {len(options.allowed)} bitmaps for {n_queries} queries")
    for bitmap in options.allowed:
        if bitmap is not None and (bitmap.shape != (n_items,) or bitmap.dtype != np.bool_):
            raise ContractError(
                f"allowed: a bitmap must be bool ({n_items},), not {bitmap.dtype} {bitmap.shape}"
            )
    return list(options.allowed)
