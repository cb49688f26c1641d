"""An item's columns as its item net reads them, encoded as the training encoded them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.bundle import ItemColumn
from vizsla.models.recommender.features import pack_features

__all__ = ["ItemColumns", "bucket_of"]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One row of a multi-valued column; see ``RaggedCodes``."""

    values: NDArray[np.int64]

    @property
    def offsets(self) -> NDArray[np.int64]:
        return np.array([0, len(self.values)])


class ItemColumns:
    """Encodes attributes of items, one item at a time.

    A missing value and one that training never saw have code 0, which weighs nothing.

    Args:
        columns: In the order in which the net reads them, the single-valued ones first.

    Example:
        >>> genre = ItemColumn(name="genre", role="categorical", values=["crime", "drama"])
        >>> year = ItemColumn(name="year", role="numeric", values=["[-inf, 1990)", "[1990, inf)"])
        >>> columns = ItemColumns([genre, year])
        >>> [part.tolist() for part in columns.packed({"genre": "drama", "year": 1990})]
        [[[2, 4]], [[1.0, 1.0]]]
    """

    def __init__(self, columns: Sequence[ItemColumn]) -> None:
        self._single = [one for one in columns if one.role != "multi_valued"]
        self._multi = [one for one in columns if one.role == "multi_valued"]
        self._codes = {
            one.name: {value: code for code, value in enumerate(one.values, start=1)}
            for one in columns
        }

    @property
    def names(self) -> list[str]:
        """The columns, in order."""
        return list(self._codes)

    def packed(
        self, attributes: Mapping[str, Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ``(1, W)`` codes and weights; see ``pack_features``."""
        single = [self._code(one, attributes.get(one.name)) for one in self._single]
        return pack_features(
            np.array([single], np.int64),
            [len(one.values) for one in self._single],
            [_Cell(self._bag(one.name, attributes.get(one.name))) for one in self._multi],
            [len(one.values) for one in self._multi],
        )

    def _code(self, column: ItemColumn, value: object) -> int:
        if isinstance(value, list):
            return 0
        if column.role == "numeric":
            return bucket_of(column.values, _number(value))
        known = self._codes[column.name]
        return next((known[text] for text in _texts(value) if text in known), 0)

    def _bag(self, name: str, value: object) -> NDArray[np.int64]:
        known = self._codes[name]
        values = value if isinstance(value, list) else [value]
        there = [one for one in values if one is not None]
        codes = [next((known[t] for t in _texts(one) if t in known), 0) for one in there]
        return np.array(codes, np.int64)


def bucket_of(labels: Sequence[str], value: float) -> int:
    """Return the code of a number under bucket labels: what training did, repeated later.

    Returns:
        Code from 1, or 0 (unknown) for NaN or where there are no buckets.

    Example:
        >>> bucket_of(["[-inf, 18)", "[18, 25.5)", "[25.5, inf)"], 18)
        2
    """
    if not labels or math.isnan(value):
        return 0
    lower = [float(label[1:].split(",")[0]) for label in labels]
    return int(np.searchsorted(lower, value, side="right"))


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _texts(value: object) -> list[str]:
    """Return how training may have written a value; JSON does not tell 1 from 1.0."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, int):
        return [str(value), f"{value}.0"]
    if isinstance(value, float) and value.is_integer():
        return [str(value), str(int(value))]
    return [] if value is None else [str(value)]
