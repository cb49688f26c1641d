"""The item net of a bundle, asked for items that the training did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.bundles import Bundle
from vizsla.contracts.index import Scorer
from vizsla.contracts.placing import ColumnScorer, ItemPlacer
from vizsla.models.recommender.item_columns import ItemColumns

__all__ = ["BundleItemNet", "item_net_of"]


class BundleItemNet:
    """``vizsla.contracts.placing.ItemPlacer`` over a scorer.

    Args:
        columns: What the net reads.
        scorer: Of the bundle, without changes of items.
    """

    def __init__(self, columns: ItemColumns, scorer: ColumnScorer) -> None:
        self._columns = columns
        self._scorer = scorer

    @property
    def names(self) -> Sequence[str]:
        """The columns that it reads."""
        return self._columns.names

    def vector(self, num: int, attributes: Mapping[str, Any]) -> NDArray[np.float32] | None:
        """Return an item's vector; see ``ItemPlacer``."""
        codes, weights = self._columns.packed(attributes)
        if not codes.any():
            return None
        made = self._scorer.vectors_of_columns(codes, weights, np.array([num]))
        row: NDArray[np.float32] = made[0]
        return row

    def reads_same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Compare two sets of attributes; see ``ItemPlacer``."""
        codes, weights = self._columns.packed(one)
        other_codes, other_weights = self._columns.packed(other)
        return np.array_equal(codes, other_codes) and np.array_equal(weights, other_weights)


def item_net_of(bundle: Bundle, scorer: Scorer) -> ItemPlacer | None:
    """Return what places new items of a bundle by their columns; None where nothing can."""
    columns = bundle.item_net()
    if not columns or not isinstance(scorer, ColumnScorer):
        return None
    return BundleItemNet(ItemColumns(columns), scorer)
