"""The items of a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.bundles import Bundle
from vizsla.vocabulary import Vocabulary

__all__ = ["BundleCatalogue", "first_of", "growing_parts"]

_FIRST_PART = 512

OURS = ("item_num", "item_id", "n_interactions")


class BundleCatalogue:
    """``serving.core.protocols.Catalogue`` over a bundle's ``items.parquet``.

    Args:
        bundle: With its items.
        alive: ``(N,)`` bool, items that may be returned; None for all.
    """

    def __init__(self, bundle: Bundle, alive: NDArray[np.bool_] | None = None) -> None:
        self._items = bundle.items
        self._vocabulary = bundle.vocabulary
        self._alive = np.ones(len(self._vocabulary), np.bool_) if alive is None else alive

    @property
    def vocabulary(self) -> Vocabulary:
        """Item identifiers; the row is the item number."""
        return self._vocabulary

    def n_interactions(self, item_nums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the training interactions of items."""
        return self._n_interactions[item_nums]

    def popular(self, at_most: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return items that may be returned, most interactions first, ties to the smaller number."""
        return first_of(growing_parts(self.by_popularity), at_most, self._alive, allowed)

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """``(N,)`` item numbers in that order, paused ones included."""
        return np.argsort(-self._n_interactions, kind="stable").astype(np.int64)

    @cached_property
    def _n_interactions(self) -> NDArray[np.int64]:
        return np.asarray(self._items.column("n_interactions").to_numpy(), np.int64)

    def is_active(self, item_num: int) -> bool:
        """Return whether an item may be in an answer."""
        return bool(self._alive[item_num])

    def attributes(self, item_num: int) -> dict[str, Any]:
        """Return an item's own columns as JSON values."""
        names = [name for name in self._items.column_names if name not in OURS]
        return {name: _jsonable(self._items.column(name)[item_num].as_py()) for name in names}


def growing_parts(order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield an array in parts, each twice as long as the one before."""
    start, size = 0, _FIRST_PART
    while start < len(order):
        yield order[start : start + size]
        start, size = start + size, 2 * size


def first_of(
    parts: Iterable[NDArray[np.int64]],
    at_most: int,
    alive: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Return the first items that are alive and allowed; reads no more parts than that takes.

    Example:
        >>> everything = np.ones(6, np.bool_)
        >>> first_of([np.array([3, 1]), np.array([5])], 2, everything, np.arange(6) > 2).tolist()
        [3, 5]
    """
    found = [np.empty(0, np.int64)]
    for nums in parts:
        kept = nums[alive[nums]]
        found.append(kept if allowed is None else kept[allowed[kept]])
        if sum(map(len, found)) >= at_most:
            break
    return np.concatenate(found)[:at_most]


def _jsonable(value: object) -> object:
    """Keep what JSON has, write the rest (dates, decimals) as text."""
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
