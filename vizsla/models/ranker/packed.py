"""The embedding tables of a finished ranker without torch: narrow in memory, looked up as float32.

Shapes: **B** rows, **V** values of a list field in all rows, ``d_f`` columns of field f.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.contracts.tables import STORED, ItemTables
from vizsla.errors import IncompatibleArtifactError
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker.embeddings import places_of

__all__ = ["Found", "PackedTables", "list_means"]

Floats = NDArray[np.float32]

_TABLES = "embeddings.tables."
_FIRST = "embeddings.first.weight"


@dataclass(frozen=True, slots=True)
class Found:
    """B rows of some fields after the lookup.

    Attributes:
        vectors: Field to ``(B, d_f)``, in the schema's order; lists are averaged.
        linear: ``(B,)`` sum of the first-order weights.
        sequences: Field of kind ``sequence`` to ``(V, d_f)``, its values one by one.
        lengths: Of such a field, ``(B,)`` values per row.
    """

    vectors: Mapping[str, Floats]
    linear: Floats
    sequences: Mapping[str, Floats]
    lengths: Mapping[str, NDArray[np.int64]]

    @property
    def flat(self) -> Floats:
        """``(B, sum d_f)``: these fields side by side."""
        columns = list(self.vectors.values()) or [np.empty((len(self.linear), 0), np.float32)]
        return np.concatenate(columns, axis=1)


class PackedTables:
    """Tables of a ranker, one array per width, as they are stored.

    Args:
        schema: What is kept, and how wide.
        weights: The ranker's tensors by name, tables stored narrow or not.
        vectors: Whether there are vectors at all, or first-order weights only.

    Raises:
        IncompatibleArtifactError: A table is missing or has another shape than the schema says.
    """

    def __init__(
        self,
        schema: RankingSchema,
        weights: Mapping[str, NDArray[Any]],
        *,
        vectors: bool = True,
    ) -> None:
        self.schema = schema
        self._places = places_of(schema) if vectors else {}
        self._tables = {width: _table(weights, width) for width, _ in self._places.values()}
        self._first = np.asarray(weights[_FIRST], np.float32)[:, 0] if _FIRST in weights else None
        self._firsts, n_codes = _first_rows(schema)
        self._check(n_codes)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tables, first-order weights included."""
        first = 0 if self._first is None else self._first.nbytes
        return first + sum(table.n_bytes for table in self._tables.values())

    def find(self, rows: EncodedRows, fields: Iterable[RankerField]) -> Found:
        """Look up some of the kept fields.

        Raises:
            KeyError: The rows lack one of the fields.
        """
        vectors, sequences, lengths = {}, {}, {}
        linear = np.zeros(len(rows), np.float32)
        for one in fields:
            name = one.spec.name
            codes = rows.lists[name] if one.spec.is_list else rows.single[name]
            found = self._vectors(name, codes.values if isinstance(codes, Ragged) else codes)
            weights = self._linear(name, codes.values if isinstance(codes, Ragged) else codes)
            if isinstance(codes, Ragged):
                if one.spec.kind == "sequence":
                    sequences[name], lengths[name] = found, codes.lengths
                found, weights = (list_means(one, codes.offsets) for one in (found, weights))
            vectors[name] = found
            linear += weights
        return Found(vectors, linear, sequences, lengths)

    def _vectors(self, name: str, codes: NDArray[np.int32]) -> Floats:
        if not self._places:
            return np.empty((len(codes), 0), np.float32)
        width, first = self._places[name]
        return self._tables[width].rows(0, codes.astype(np.int64) + first)

    def _linear(self, name: str, codes: NDArray[np.int32]) -> Floats:
        if self._first is None:
            return np.zeros(len(codes), np.float32)
        return self._first[codes.astype(np.int64) + self._firsts[name]]

    def _check(self, n_codes: int) -> None:
        expected: dict[int, int] = {}
        for one in self.schema.fields:
            if one.spec.name in self._places and not one.spec.shares:
                expected[one.dim] = expected.get(one.dim, 0) + one.n_codes
        for width, n_rows in expected.items():
            shape = self._tables[width].arrays[0].shape
            if shape != (n_rows, width):
                raise IncompatibleArtifactError(
                    f"table {width} of the ranker is {shape}, its schema says {(n_rows, width)}"
                )
        if self._first is not None and len(self._first) != n_codes:
            raise IncompatibleArtifactError(
                f"the ranker has {len(self._first)} first-order weights, its schema says {n_codes}"
            )


def _table(weights: Mapping[str, NDArray[Any]], width: int) -> ItemTables:
    name = f"{_TABLES}{width}.weight"
    if name not in weights:
        raise IncompatibleArtifactError(f"the ranker's weights have no {name}")
    array = weights[name]
    dtype = next((one for one, stored in STORED.items() if array.dtype == stored), None)
    if dtype is None:
        raise IncompatibleArtifactError(f"{name} holds {array.dtype}; known: {', '.join(STORED)}")
    scale = weights.get(f"{_TABLES}{width}.scale", np.empty(0, np.float32))
    return ItemTables((array,), (scale,), dtype)  # type: ignore[arg-type]


def _first_rows(schema: RankingSchema) -> tuple[dict[str, int], int]:
    """Return where each field's first-order weights begin, and how many there are."""
    needed = {one.spec.shares or one.spec.name for one in schema.kept}
    firsts, end = {}, 0
    for one in schema.fields:
        if one.spec.name in needed and not one.spec.shares:
            firsts[one.spec.name], end = end, end + one.n_codes
    return {one.spec.name: firsts[one.spec.shares or one.spec.name] for one in schema.kept}, end


def list_means(found: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Average ``(V,)`` or ``(V, d)`` per row; rows of nothing are zero."""
    lengths = np.diff(offsets)
    means = np.zeros((len(lengths), *found.shape[1:]), np.float32)
    filled = lengths > 0
    if filled.any():
        means[filled] = np.add.reduceat(found, offsets[:-1][filled], axis=0)
    by_row = means.T
    by_row /= np.maximum(lengths, 1)
    return means
