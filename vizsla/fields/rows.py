"""Encoded rows: what encoders make and models read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import ContractError

__all__ = ["EncodedRows", "Ragged", "join"]


@dataclass(frozen=True, slots=True)
class Ragged:
    """A list of codes per row; row ``b`` has ``values[offsets[b]:offsets[b + 1]]``.

    Attributes:
        values: ``(V,)`` int32 codes; an empty list has none, not ``MISSING``.
        offsets: ``(B + 1,)`` int64, rising from 0 to V.
    """

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(B,)`` values per row."""
        lengths: NDArray[np.int64] = np.diff(self.offsets)
        return lengths

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Return some rows, in the order asked for."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Ragged(self.values[places], offsets)


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """B rows as codes, by field.

    Attributes:
        single: Field to ``(B,)`` int32 codes.
        lists: Field of several values to its codes.
        labels: ``(B,)`` float32, 0 or 1; None where nothing is known yet.
        weights: ``(B,)`` float32, None where every row counts the same.

    Raises:
        ContractError: Fields have different numbers of rows.
    """

    single: Mapping[str, NDArray[np.int32]]
    lists: Mapping[str, Ragged] = field(default_factory=dict)
    labels: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        sizes = {name: len(codes) for name, codes in self.single.items()}
        sizes |= {name: len(ragged.offsets) - 1 for name, ragged in self.lists.items()}
        if self.labels is not None:
            sizes["labels"] = len(self.labels)
        if len(set(sizes.values())) > 1:
            raise ContractError(f"fields have different numbers of rows: {sizes}")

    def __len__(self) -> int:
        for codes in self.single.values():
            return len(codes)
        for ragged in self.lists.values():
            return len(ragged.offsets) - 1
        return 0 if self.labels is None else len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> EncodedRows:
        """Return some rows, in the order asked for."""
        return EncodedRows(
            {name: codes[rows] for name, codes in self.single.items()},
            {name: ragged.take(rows) for name, ragged in self.lists.items()},
            None if self.labels is None else self.labels[rows],
            None if self.weights is None else self.weights[rows],
        )

    def only(self, fields: Sequence[str]) -> EncodedRows:
        """Return the rows with some of their fields."""
        kept = set(fields)
        return EncodedRows(
            {name: codes for name, codes in self.single.items() if name in kept},
            {name: ragged for name, ragged in self.lists.items() if name in kept},
            self.labels,
            self.weights,
        )


def join(parts: Sequence[EncodedRows]) -> EncodedRows:
    """Return rows of the same fields one after another."""
    first = parts[0]
    if len(parts) == 1:
        return first
    single = {name: np.concatenate([one.single[name] for one in parts]) for name in first.single}
    lists = {name: _join([one.lists[name] for one in parts]) for name in first.lists}
    labels = [one.labels for one in parts if one.labels is not None]
    weights = [one.weights for one in parts if one.weights is not None]
    return EncodedRows(
        single,
        lists,
        np.concatenate(labels) if labels else None,
        np.concatenate(weights) if weights else None,
    )


def _join(parts: Sequence[Ragged]) -> Ragged:
    lengths = np.concatenate([one.lengths for one in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Ragged(np.concatenate([one.values for one in parts]), offsets)
