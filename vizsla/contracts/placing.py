"""Seam 5, new items: where an item lies that no training has seen, by its columns.

Shapes: **D** vector size, **R** items, **W** packed columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.index import Scorer

__all__ = ["ColumnScorer", "ItemPlacer"]


@runtime_checkable
class ColumnScorer(Scorer, Protocol):
    """A scorer whose item vectors come from the items' columns, at least in part."""

    def vectors_of_columns(
        self, codes: NDArray[np.int64], weights: NDArray[np.float32], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return ``(R, D)`` float32 vectors of items with given columns, new ones too.

        Args:
            codes: ``(R, W)`` codes of all columns in one space, 0 for nothing.
            weights: ``(R, W)`` float32 weight of each code.
            item_nums: ``(R,)`` which item of the scorer each is, -1 for none: what the model
                has learned of the item itself goes in.
        """
        ...


class ItemPlacer(Protocol):
    """The item net of a bundle, asked by attributes; any thread may call it."""

    @property
    def names(self) -> Sequence[str]:
        """The columns that it reads, at least one."""
        ...

    def vector(self, num: int, attributes: Mapping[str, Any]) -> NDArray[np.float32] | None:
        """Return the ``(D,)`` vector of an item; None where it knows no value of any column.

        Args:
            num: Its number in the bundle, -1 for an item that the bundle has not.
            attributes: Column to value, as JSON has it; others than ``names`` are not read.
        """
        ...

    def reads_same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Return whether two sets of attributes are the same to it."""
        ...
