"""The items of a bundle with the changes that came after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.live.states import ItemsSnapshot
from graph_index.live.vocabulary import LiveVocabulary
from serving.adapters.catalogue import BundleCatalogue, first_of, growing_parts
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

    def n_interactions(self, item_nums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the training interactions of items; 0 for one that training never saw."""
        known_as = self._base.vocabulary.nums(self.vocabulary.ids(item_nums.tolist()))
        return np.where(known_as == UNKNOWN, 0, self._base.n_interactions(known_as))

    def popular(self, at_most: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return items that may be returned, most interactions first.

        In the order of the bundle, then those that training never saw.  Nothing is made for a
        state before it is asked for, and no more of the order is followed than an answer takes.
        """
        return first_of(self._parts(), at_most, self._snapshot.graph.graph.alive, allowed)

    def _parts(self) -> Iterator[NDArray[np.int64]]:
        for rows in growing_parts(self._base.by_popularity):
            places = self.vocabulary.places(rows)
            yield places[places != UNKNOWN]
        yield self.vocabulary.new_places

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
        there = {id_: num for id_ in item_ids if (num := self.vocabulary.num(id_)) != UNKNOWN}
        counts = self.n_interactions(np.array(list(there.values()), np.int64)).tolist()
        return {
            num: (id_, self.attributes(num) | {"n_interactions": count})
            for (id_, num), count in zip(there.items(), counts, strict=True)
        }
