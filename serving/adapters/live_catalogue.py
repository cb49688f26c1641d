"""The items of a bundle with the changes that came after it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.live.states import ItemsSnapshot
from graph_index.live.vocabulary import LiveVocabulary
from serving.adapters.catalogue import BundleCatalogue
from vizsla.vocabulary import UNKNOWN

__all__ = ["LiveCatalogue"]


class LiveCatalogue:
    """``serving.core.protocols.Catalogue`` at one moment of a changing catalogue.

    Args:
        base: The bundle's items.
        snapshot: The catalogue now.
    """

    def __init__(self, base: BundleCatalogue, snapshot: ItemsSnapshot) -> None:
        self._base = base
        self._snapshot = snapshot

    @property
    def vocabulary(self) -> LiveVocabulary:
        """Item identifiers; the number is a place of the graph."""
        return self._snapshot.vocabulary

    @cached_property
    def n_interactions(self) -> NDArray[np.int64]:
        """``(N,)`` training interactions per place; 0 for an item that training never saw."""
        counts = np.zeros(self._snapshot.graph.graph.n_items, np.int64)
        counts[: len(self._base.n_interactions)] = self._base.n_interactions
        nums, known_as = self._placed
        counts[nums] = np.where(known_as == UNKNOWN, 0, self._base.n_interactions[known_as])
        return counts

    @cached_property
    def by_popularity(self) -> NDArray[np.int64]:
        """Items that may be returned, most interactions first."""
        alive = self._snapshot.graph.graph.alive
        original = alive.copy()
        original[self._placed[0]] = False
        order = self._base.all_by_popularity
        kept = order[original[order]]
        nums = np.sort(self._placed[0])
        nums = nums[alive[nums]]
        counts = self.n_interactions
        places = np.searchsorted(-counts[kept], -counts[nums], side="right")
        order = np.argsort(places, kind="stable")
        return np.insert(kept, places[order], nums[order])

    def is_active(self, item_num: int) -> bool:
        """Return whether an item may be in an answer."""
        return bool(self._snapshot.graph.graph.alive[item_num])

    def attributes(self, item_num: int) -> dict[str, Any]:
        """Return an item's own columns: those that a change gave, else the bundle's."""
        if item_num in self._snapshot.attributes:
            return dict(self._snapshot.attributes[item_num])
        num = self._base.vocabulary.num(self.vocabulary.id(item_num))
        return {} if num == UNKNOWN else self._base.attributes(num)

    def rows(self, item_ids: Iterable[str]) -> dict[int, tuple[str, dict[str, Any]]]:
        """Return place to identifier and filtered attributes of those items that are there."""
        found = {}
        for item_id in item_ids:
            num, known_as = self.vocabulary.num(item_id), self._base.vocabulary.num(item_id)
            if num != UNKNOWN:
                count = 0 if known_as == UNKNOWN else int(self._base.n_interactions[known_as])
                found[num] = (item_id, self.attributes(num) | {"n_interactions": count})
        return found

    @cached_property
    def _placed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places that changes gave out, and which item of the bundle each holds, if any."""
        placed = {num: id_ for id_, num in self.vocabulary.changes().items() if num != UNKNOWN}
        return np.array(list(placed), np.int64), self._base.vocabulary.nums(placed.values())
