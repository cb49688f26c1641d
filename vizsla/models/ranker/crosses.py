"""Crossed features: a weight for every combination of values of some fields, hashed into buckets.

A cross of fields ``f_1, ..., f_n`` with codes ``c_1, ..., c_n`` reads one weight, that of bucket

::

    bucket(h_1(c_1) + ... + h_n(c_n))

Sums are of 64 bits and wrap, so that what belongs to the user and what belongs to an item can be
hashed apart and added later.  The hash depends on codes and places alone, on no machine.  At most
one field of a cross is a list; its weights are averaged over the list, as first-order weights
are, and an empty list adds nothing.  Shapes: **B** rows, **V** values in all rows, **K** crosses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import ConfigError
from vizsla.models.ranker.inputs import FieldInputs, list_fields, single_fields

__all__ = ["Cross", "Crosses", "bucket", "crosses_of", "hashed"]

Whole = TypeVar("Whole", Tensor, NDArray[np.int64])
"""int64 numbers, of torch or of NumPy: the same operators, the same answer."""

_GOLDEN, _FIRST, _SECOND = (
    0x9E3779B97F4A7C15 - 2**64,  # of splitmix64, as signed numbers
    0xBF58476D1CE4E5B9 - 2**64,
    0x94D049BB133111EB - 2**64,
)


def hashed(codes: Whole, place: int) -> Whole:
    """Return the 64 bits of codes in one place of a cross, as int64."""
    return _mixed(codes + place * 2**32)


def bucket(sums: Whole, n_buckets: int) -> Whole:
    """Return which bucket sums of hashes fall into, from 0."""
    return (_mixed(sums) >> 33 & 2**31 - 1) % n_buckets


def _mixed(x: Whole) -> Whole:
    """Return what splitmix64 makes of whole numbers; shifts fill with zeros, whatever the sign."""
    x = x * _GOLDEN
    x = (x ^ (x >> 30 & 2**34 - 1)) * _FIRST
    x = (x ^ (x >> 27 & 2**37 - 1)) * _SECOND
    return x ^ (x >> 31 & 2**33 - 1)


@dataclass(frozen=True, slots=True)
class Cross:
    """One cross of kept fields.

    Attributes:
        fields: In their places.
        several: Name of the one that is a list, None without.
    """

    fields: tuple[RankerField, ...]
    several: str | None

    @property
    def places(self) -> dict[str, int]:
        """Field to its place, which its hash depends on."""
        return {one.spec.name: place for place, one in enumerate(self.fields)}


def crosses_of(schema: RankingSchema, names: Sequence[Sequence[str]]) -> tuple[Cross, ...]:
    """Return crosses as the schema's fields.

    Raises:
        ConfigError: A cross names an unknown or dropped field, a field twice, fewer than two
            fields, or more than one list.
    """
    kept = {one.spec.name: one for one in schema.kept}
    return tuple(_cross(kept, cross, schema) for cross in names)


def _cross(kept: dict[str, RankerField], names: Sequence[str], schema: RankingSchema) -> Cross:
    told = f"model setting 'crosses': {list(names)}"
    for name in names:
        if name not in kept:
            dropped = any(one.spec.name == name for one in schema.fields)
            why = "is dropped from the schema" if dropped else "is no field of the frame"
            known = ", ".join(kept)
            raise ConfigError(f"{told}: {name!r} {why}; leave the cross out, or cross of: {known}")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError(f"{told}: a cross takes two or more different fields")
    lists = [name for name in names if kept[name].spec.is_list]
    if len(lists) > 1:
        raise ConfigError(f"{told}: {', '.join(lists)} are lists; a cross takes one list at most")
    return Cross(tuple(kept[name] for name in names), lists[0] if lists else None)


class Crosses(nn.Module):
    """The sum of the weights of K crosses.

    Args:
        schema: With all fields that are crossed.
        names: Fields of each cross.
        n_buckets: Of each cross.

    Raises:
        ConfigError: See ``crosses_of``.
    """

    def __init__(
        self, schema: RankingSchema, names: Sequence[Sequence[str]], n_buckets: int
    ) -> None:
        super().__init__()
        self.n_buckets = n_buckets
        self.weights = nn.Parameter(torch.zeros(len(names), n_buckets))
        self._crosses = crosses_of(schema, names)
        self._columns = {one.spec.name: at for at, one in enumerate(single_fields(schema))}
        self._lists = {one.spec.name: at for at, one in enumerate(list_fields(schema))}

    def forward(self, inputs: FieldInputs) -> Tensor:
        """Return ``(B,)``."""
        sums = [self._sum(place, cross, inputs) for place, cross in enumerate(self._crosses)]
        return torch.stack(sums).sum(0)

    def _sum(self, number: int, cross: Cross, inputs: FieldInputs) -> Tensor:
        """Return ``(B,)`` weights of one cross; of a list their mean."""
        sums = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.single.device)
        for name, place in cross.places.items():
            if name != cross.several:
                sums = sums + hashed(inputs.single[:, self._columns[name]], place)
        weights = self.weights[number][:, None]
        if cross.several is None:
            return embedding(bucket(sums, self.n_buckets), weights)[:, 0]
        at = self._lists[cross.several]
        values, offsets = inputs.values[at], inputs.offsets[at]
        sums = sums.repeat_interleave(offsets.diff()) + hashed(values, cross.places[cross.several])
        found = bucket(sums, self.n_buckets)
        return embedding_bag(found, weights, offsets, mode="mean", include_last_offset=True)[:, 0]
