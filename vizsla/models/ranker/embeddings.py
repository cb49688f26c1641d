"""Embedding tables of a ranker: packed by width, so that a batch takes one lookup per width.

Shapes: **B** rows, **F** kept fields of one value, **L** longest list, ``d_f`` columns of field f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.models.ranker.inputs import FieldInputs, list_fields, single_fields

__all__ = ["Embedded", "FieldEmbeddings", "Sequence", "places_of"]

_SCALE = 0.01


@dataclass(frozen=True, slots=True)
class Sequence:
    """Embedded values of one list field, not pooled.

    Attributes:
        vectors: ``(B, L, d_f)``, zero where there is nothing.
        mask: ``(B, L)`` bool, True where there is a value.
    """

    vectors: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Embedded:
    """B rows after the lookup.

    Attributes:
        vectors: Field to ``(B, d_f)``, kept fields in the schema's order; lists are averaged.
        linear: ``(B,)`` sum of the first-order weights.
        sequences: Field of kind ``sequence`` to its values one by one.
        packed: ``flat`` where the lookup gives it for nothing.
        inputs: What was looked up, for what reads codes; None where a search has no need of it.
    """

    vectors: Mapping[str, Tensor]
    linear: Tensor
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    packed: Tensor | None = None
    inputs: FieldInputs | None = None

    @property
    def flat(self) -> Tensor:
        """``(B, sum d_f)``: all fields side by side, in the schema's order."""
        if self.packed is not None:
            return self.packed
        return torch.cat(list(self.vectors.values()), dim=1)


def places_of(schema: RankingSchema) -> dict[str, tuple[int, int]]:
    """Return where each table begins: field to ``(width, first row)`` in the table of that width.

    A field that shares has the place of the field whose table it uses.
    """
    places: dict[str, tuple[int, int]] = {}
    ends: dict[int, int] = {}
    for one in _owners(schema):
        places[one.spec.name] = (one.dim, ends.get(one.dim, 0))
        ends[one.dim] = ends.get(one.dim, 0) + one.n_codes
    for one in schema.kept:
        if one.spec.shares:
            places[one.spec.name] = places[one.spec.shares]
    return places


class FieldEmbeddings(nn.Module):
    """One table per distinct width; fields of that width lie one below the other in it.

    Args:
        schema: What is kept, and how wide.
        sparse: Whether gradients of tables are sparse, for tables of which a batch touches little.
        first_order: Whether there is a weight per code beside its vector.
        vectors: Whether there are vectors at all; a linear model needs none.
        sequences: Whether sequences are given value by value, beside their averages.
    """

    _first_rows: Tensor

    def __init__(
        self,
        schema: RankingSchema,
        *,
        sparse: bool = False,
        first_order: bool = True,
        vectors: bool = True,
        sequences: bool = True,
    ) -> None:
        super().__init__()
        self.schema = schema
        self._places = places_of(schema)
        sizes: dict[int, int] = {}
        for one in _owners(schema) if vectors else []:
            sizes[one.dim] = sizes.get(one.dim, 0) + one.n_codes
        self.tables = nn.ModuleDict(
            {str(dim): nn.Embedding(rows, dim, sparse=sparse) for dim, rows in sizes.items()}
        )
        firsts, end = {}, 0
        for one in _owners(schema):
            firsts[one.spec.name], end = end, end + one.n_codes
        self._firsts = {
            one.spec.name: firsts[one.spec.shares or one.spec.name] for one in schema.kept
        }
        self.first = nn.Embedding(end, 1, sparse=sparse) if first_order else None
        self._single = single_fields(schema)
        self._lists = list_fields(schema)
        self._sequences = sequences
        self._groups = self._grouped() if vectors else []
        self._keep("_first_rows", [self._firsts[one.spec.name] for one in self._single])
        for width, columns in self._groups:
            self._keep(f"_columns_{width}", columns)
            names = [self._single[column].spec.name for column in columns]
            self._keep(f"_rows_{width}", [self._places[name][1] for name in names])

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all vectors from N(0, 0.01); first-order weights begin at zero."""
        for table in self.tables.values():
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=_SCALE, generator=generator)
        if self.first is not None:
            nn.init.zeros_(self.first.weight)

    def forward(self, inputs: FieldInputs) -> Embedded:
        """Look up all kept fields of B rows."""
        found, packed = self._single_vectors(inputs)
        sequences: dict[str, Sequence] = {}
        linear = self._single_linear(inputs)
        for place, one in enumerate(self._lists):
            name = one.spec.name
            values, offsets = inputs.values[place], inputs.offsets[place]
            linear = linear + self._list_linear(one, values, offsets)
            if not self.tables:
                continue
            if one.spec.kind == "sequence" and self._sequences:
                sequences[name] = self._sequence(one, values, offsets)
                counts = offsets.diff()[:, None].clamp(min=1)
                found[name] = sequences[name].vectors.sum(1) / counts
            else:
                found[name] = self._mean(one, values, offsets)
        if len(found) > len(self._single):
            found = {one.spec.name: found[one.spec.name] for one in self.schema.kept}
        return Embedded(found, linear, sequences, packed, inputs)

    def _grouped(self) -> list[tuple[int, list[int]]]:
        """Return each width with the columns of single fields that have it."""
        widths = sorted({one.dim for one in self._single})
        return [
            (width, [i for i, one in enumerate(self._single) if one.dim == width])
            for width in widths
        ]

    def _keep(self, name: str, numbers: list[int]) -> None:
        """Hold whole numbers with the weights' device, but not among what is saved."""
        self.register_buffer(name, torch.tensor(numbers, dtype=torch.int64), persistent=False)

    def _single_vectors(self, inputs: FieldInputs) -> tuple[dict[str, Tensor], Tensor | None]:
        found: dict[str, Tensor] = {}
        alone = len(self._groups) == 1
        for width, columns in self._groups:
            codes = inputs.single if alone else inputs.single[:, getattr(self, f"_columns_{width}")]
            vectors = self.tables[str(width)](codes + getattr(self, f"_rows_{width}"))
            if alone and not self._lists:
                names = [one.spec.name for one in self._single]
                return dict(zip(names, vectors.unbind(1), strict=True)), vectors.flatten(1)
            for column, part in zip(columns, vectors.unbind(1), strict=True):
                found[self._single[column].spec.name] = part
        if found and not self._lists:
            found = {one.spec.name: found[one.spec.name] for one in self._single}
        return found, None

    def _single_linear(self, inputs: FieldInputs) -> Tensor:
        if self.first is None or not self._single:
            return torch.zeros(len(inputs), device=inputs.single.device)
        linear: Tensor = self.first(inputs.single + self._first_rows).sum((1, 2))
        return linear

    def _list_linear(self, one: RankerField, values: Tensor, offsets: Tensor) -> Tensor:
        if self.first is None:
            return torch.zeros(len(offsets) - 1, device=values.device)
        return self._bag(self.first, values + self._firsts[one.spec.name], offsets)[:, 0]

    def _mean(self, one: RankerField, values: Tensor, offsets: Tensor) -> Tensor:
        width, first = self._places[one.spec.name]
        return self._bag(self.tables[str(width)], values + first, offsets)

    def _bag(self, table: nn.Module, rows: Tensor, offsets: Tensor) -> Tensor:
        """Return ``(B, d)`` means; of nothing, zeros."""
        assert isinstance(table, nn.Embedding)
        return embedding_bag(
            rows, table.weight, offsets, mode="mean", sparse=table.sparse, include_last_offset=True
        )

    def _sequence(self, one: RankerField, values: Tensor, offsets: Tensor) -> Sequence:
        width, first = self._places[one.spec.name]
        counts = offsets.diff()
        longest = int(counts.max()) if len(counts) else 0
        mask = torch.arange(longest, device=values.device) < counts[:, None]
        found = self.tables[str(width)](values + first)
        padded = found.new_zeros(*mask.shape, width)
        padded[mask] = found
        return Sequence(padded, mask)


def _owners(schema: RankingSchema) -> list[RankerField]:
    """Return the fields whose tables exist: kept ones, and those that a kept one shares."""
    needed = {one.spec.shares or one.spec.name for one in schema.kept}
    return [one for one in schema.fields if one.spec.name in needed and not one.spec.shares]
