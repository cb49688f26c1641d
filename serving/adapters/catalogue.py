"""The items of a bundle."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.bundles import Bundle
from vizsla.vocabulary import Vocabulary

__all__ = ["BundleCatalogue"]

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

    @cached_property
    def n_interactions(self) -> NDArray[np.int64]:
        """``(N,)`` training interactions per item."""
        return np.asarray(self._items.column("n_interactions").to_numpy(), np.int64)

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """Items that may be returned, most interactions first, ties to the smaller number."""
        return self.all_by_popularity[self._alive[self.all_by_popularity]]

    @cached_property
    def all_by_popularity(self) -> NDArray[np.int64]:
        """``(N,)`` item numbers in that order, paused ones included."""
        return np.argsort(-self.n_interactions, kind="stable").astype(np.int64)

    def is_active(self, item_num: int) -> bool:
        """Return whether an item may be in an answer."""
        return bool(self._alive[item_num])

    def attributes(self, item_num: int) -> dict[str, Any]:
        """Return an item's own columns as JSON values."""
        names = [name for name in self._items.column_names if name not in OURS]
        return {name: _jsonable(self._items.column(name)[item_num].as_py()) for name in names}


def _jsonable(value: object) -> object:
    """Keep what JSON has, write the rest (dates, decimals) as text."""
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
