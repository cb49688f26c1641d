"""Embedding tables of a ranker: packed by width, so that a batch takes one lookup per width.

Shapes: **B** rows, **F** kept fields of one value, **L** longest list, ``d_f`` columns of field f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

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
    """

    vectors: Mapping[str, Tensor]
    linear: Tensor
    sequences: Mapping[str, Sequence] = field(default_factory=dict)

    @property
    def flat(self) -> Tensor:
        """``(B, sum d_f)``: all fields side by side."""
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
    """

    def __init__(
        self, schema: RankingSchema, *, sparse: bool = False, first_order: bool = True
    ) -> None:
        super().__init__()
        self.schema = schema
        self._places = places_of(schema)
        sizes: dict[int, int] = {}
        for one in _owners(schema):
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

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all vectors from N(0, 0.01); first-order weights begin at zero."""
        for table in self.tables.values():
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=_SCALE, generator=generator)
        if self.first is not None:
            nn.init.zeros_(self.first.weight)

    def forward(self, inputs: FieldInputs) -> Embedded:
        """Look up all kept fields of B rows."""
        found = self._single_vectors(inputs)
        sequences: dict[str, Sequence] = {}
        linear = self._single_linear(inputs)
        for place, one in enumerate(self._lists):
            name = one.spec.name
            sequence = self._sequence(one, inputs.values[place], inputs.offsets[place])
            counts = sequence.mask.sum(1, keepdim=True).clamp(min=1)
            found[name] = sequence.vectors.sum(1) / counts
            linear = linear + self._list_linear(one, inputs.values[place], inputs.offsets[place])
            if one.spec.kind == "sequence":
                sequences[name] = sequence
        ordered = {one.spec.name: found[one.spec.name] for one in self.schema.kept}
        return Embedded(ordered, linear, sequences)

    def _single_vectors(self, inputs: FieldInputs) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for width in sorted({one.dim for one in self._single}):
            columns = [i for i, one in enumerate(self._single) if one.dim == width]
            firsts = [self._places[self._single[i].spec.name][1] for i in columns]
            rows = inputs.single[:, columns] + torch.tensor(firsts, device=inputs.single.device)
            vectors = self.tables[str(width)](rows)
            for place, column in enumerate(columns):
                found[self._single[column].spec.name] = vectors[:, place]
        return found

    def _single_linear(self, inputs: FieldInputs) -> Tensor:
        if self.first is None or not self._single:
            return torch.zeros(len(inputs), device=inputs.single.device)
        firsts = [self._firsts[one.spec.name] for one in self._single]
        rows = inputs.single + torch.tensor(firsts, device=inputs.single.device)
        linear: Tensor = self.first(rows).sum((1, 2))
        return linear

    def _list_linear(self, one: RankerField, values: Tensor, offsets: Tensor) -> Tensor:
        counts = offsets.diff()
        if self.first is None:
            return torch.zeros(len(counts), device=values.device)
        weights = self.first(values + self._firsts[one.spec.name])[:, 0]
        rows = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts)
        sums = torch.zeros(len(counts), device=values.device).index_add(0, rows, weights)
        return sums / counts.clamp(min=1)

    def _sequence(self, one: RankerField, values: Tensor, offsets: Tensor) -> Sequence:
        width, first = self._places[one.spec.name]
        vectors = self.tables[str(width)](values + first)
        counts = offsets.diff()
        longest = int(counts.max()) if len(counts) else 0
        mask = torch.arange(longest, device=values.device) < counts[:, None]
        if not longest:
            return Sequence(vectors.new_zeros(len(counts), 0, width), mask)
        padded = pad_sequence(list(vectors.split(counts.tolist())), batch_first=True)
        return Sequence(padded, mask)


def _owners(schema: RankingSchema) -> list[RankerField]:
    """Return the fields whose tables exist: kept ones, and those that a kept one shares."""
    needed = {one.spec.shares or one.spec.name for one in schema.kept}
    return [one for one in schema.fields if one.spec.name in needed and not one.spec.shares]
