"""Crosses as the server computes them: what is the user's once, what is both's per candidate.

A cross of item fields alone belongs to the item, one of user and context alone to the user.  Of
the others items keep their codes, a request its hashes, and per candidate there remain an
addition and a look-up for every value.  Shapes: **B** rows, **C** candidates, **V** values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows
from vizsla.models.ranker.crosses import Cross, bucket, crosses_of, hashed
from vizsla.models.ranker.packed import list_means
from vizsla.models.ranker.split import Wide

__all__ = ["CrossedSides", "Hashes"]

Floats = NDArray[np.float32]

Hashes = tuple[NDArray[np.int64], ...]
"""Of each mixed cross, ``(V,)`` hashes of one user: one, or one for every value of their list."""


class CrossedSides:
    """The crosses of a finished ranker, divided by whose fields they read.

    Args:
        schema: What is kept.
        wide: Crosses and weights; None for none.
    """

    def __init__(self, schema: RankingSchema, wide: Wide | None) -> None:
        crosses = crosses_of(schema, wide.crosses) if wide else ()
        weights = wide.weights if wide else np.empty((0, 0), np.float32)
        pairs = list(zip(crosses, weights, strict=True))
        self._items = [(one, own) for one, own in pairs if _sides(one) == {True}]
        self._users = [(one, own) for one, own in pairs if _sides(one) == {False}]
        self._mixed = [(one, own) for one, own in pairs if len(_sides(one)) == 2]
        fields = [field for one, _ in self._mixed for field in one.fields if _is_item(field)]
        self._kept = list(dict.fromkeys(field.spec.name for field in fields))

    def items(self, rows: EncodedRows) -> tuple[Floats, EncodedRows]:
        """Return ``(B,)`` weights that are the items' own, and the codes that users will meet."""
        return _summed(self._items, rows), _bare(rows.only(self._kept))

    def user(self, rows: EncodedRows) -> tuple[float, Hashes]:
        """Return the weight that is the user's own, and what meets the items."""
        hashes = tuple(_hashes(one, rows, item=False)[0] for one, _ in self._mixed)
        return float(_summed(self._users, rows)[0]), hashes

    def logits(self, user: Hashes, codes: EncodedRows) -> Floats:
        """Return ``(C,)`` weights of the crosses that read both sides."""
        total = np.zeros(len(codes), np.float32)
        for (cross, weights), own in zip(self._mixed, user, strict=True):
            sums, offsets = _hashes(cross, codes, item=True)
            places = bucket(sums[:, None] + own, len(weights))
            found = weights[places].sum(1) / max(len(own), 1)
            total += _means(found, offsets)
        return total


def _is_item(field: RankerField) -> bool:
    return field.spec.owner == "item"


def _sides(cross: Cross) -> set[bool]:
    return {_is_item(field) for field in cross.fields}


def _bare(rows: EncodedRows) -> EncodedRows:
    return EncodedRows(rows.single, rows.lists)


def _summed(crosses: list[tuple[Cross, Floats]], rows: EncodedRows) -> Floats:
    """Return ``(B,)`` weights of crosses that one side has all fields of."""
    total = np.zeros(len(rows), np.float32)
    for cross, weights in crosses:
        sums, offsets = _hashes(cross, rows, item=_is_item(cross.fields[0]))
        total += _means(weights[bucket(sums, len(weights))], offsets)
    return total


def _hashes(
    cross: Cross, rows: EncodedRows, *, item: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return ``(V,)`` sums over a side's fields, and where each row's begin: None for one each."""
    sums, offsets = np.zeros(len(rows), np.int64), None
    own = [field.spec.name for field in cross.fields if _is_item(field) == item]
    for name in own:
        if name != cross.several:
            sums = sums + hashed(rows.single[name].astype(np.int64), cross.places[name])
    if cross.several in own:
        name = cross.several
        values = rows.lists[name]
        offsets = values.offsets
        sums = np.repeat(sums, values.lengths)
        sums = sums + hashed(values.values.astype(np.int64), cross.places[name])
    return sums, offsets


def _means(found: Floats, offsets: NDArray[np.int64] | None) -> Floats:
    """Average ``(V,)`` weights per row, where a row has several."""
    return found if offsets is None else list_means(found, offsets)
