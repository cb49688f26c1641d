"""All models at once: every field at full width, its columns faded by what is learned about them.

Shapes: **B** rows, **F** fields, **K** regions, **W** columns of the full width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.models.ranker import Embedded, FieldInputs
from vizsla.models.ranker.inputs import list_fields, single_fields
from vizsla.rng import torch_generator

__all__ = ["BatchNorm", "RazorEmbeddings", "regions", "widened"]

BatchNorm = Literal["field", "shared", "off"]
_SCALE = 0.01


def regions(widths: tuple[int, ...]) -> Tensor:
    """Return ``(K, W)``: which columns each region holds, the first none.

    Example:
        >>> regions((0, 1, 3)).tolist()
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    masks = torch.zeros(len(widths), widths[-1])
    for region in range(1, len(widths)):
        masks[region, widths[region - 1] : widths[region]] = 1
    return masks


def widened(schema: RankingSchema, width: int) -> RankingSchema:
    """Return the schema with every field at one width, in the order of their names.

    By name, so that the order in which fields are declared decides nothing.
    """
    fields = sorted(schema.fields, key=lambda field: field.spec.name)
    wide = tuple(field.model_copy(update={"dim": width, "probabilities": ()}) for field in fields)
    return schema.model_copy(update={"fields": wide})


class RazorEmbeddings(nn.Module):
    """Tables of full width behind a soft mask of columns.

    A field that shares a table has a mask, and a first-order gate, of its own.

    Args:
        schema: All fields at the same width W, see ``widened``.
        masks: ``(K, W)`` columns of each choice, see ``regions``.
        batch_norm: How vectors are normalised before the mask.
        gate_first_order: Whether first-order terms fade with the choices that hold no column.

    Attributes:
        importances: ``(F, K)``, what the probabilities are the softmax of.
        temperature: Of that softmax.
        learns_importances: Whether gradients reach ``importances``.
        names: ``(F,)`` fields in the order of the rows of ``importances``.
    """

    masks: Tensor

    def __init__(
        self,
        schema: RankingSchema,
        masks: Tensor,
        *,
        batch_norm: BatchNorm = "field",
        gate_first_order: bool = True,
    ) -> None:
        super().__init__()
        single, lists = single_fields(schema), list_fields(schema)
        fields = [*single, *lists]
        self.names = tuple(field.spec.name for field in fields)
        self.temperature = 1.0
        self.learns_importances = True
        self._gated, self._batch_norm = gate_first_order, batch_norm
        self._owners = [field for field in schema.fields if not field.spec.shares]
        self.firsts, n_rows = first_rows(schema)
        width = masks.shape[1]
        # the last column is the first-order weight: one gather and one sparse gradient a step
        self.table = nn.Embedding(n_rows, width + 1, sparse=True)
        self.importances = nn.Parameter(torch.zeros(len(fields), len(masks)))
        self.register_buffer("masks", masks)
        self._single_firsts = torch.tensor([self.firsts[one.spec.name] for one in single])
        self._list_firsts = [self.firsts[one.spec.name] for one in lists]
        columns = width if batch_norm == "shared" else len(fields) * width
        self.normalise = nn.BatchNorm1d(columns, affine=False)

    def reset_parameters(self, seed: int) -> None:
        """Draw each field's vectors by its name, so that other fields do not change them."""
        with torch.no_grad():
            for field in self._owners:
                rows = self.rows(field)
                generator = torch_generator(seed, "vectors", field.spec.name)
                self.table.weight[rows, :-1].normal_(std=_SCALE, generator=generator)
            self.table.weight[:, -1].zero_()
            self.importances.zero_()

    def rows(self, field: RankerField) -> slice:
        """Return which rows of the table are a field's."""
        first = self.firsts[field.spec.name]
        return slice(first, first + field.n_codes)

    def probabilities(self) -> Tensor:
        """Return ``(F, K)``: how likely each choice is, by field."""
        found = torch.softmax(self.importances / self.temperature, dim=1)
        return found if self.learns_importances else found.detach()

    def forward(self, inputs: FieldInputs) -> Embedded:
        """Look up B rows; the vectors of lists are averaged."""
        return self.blend(inputs, self.probabilities())

    def blend(self, inputs: FieldInputs, probabilities: Tensor) -> Embedded:
        """Look up B rows under given ``(F, K)`` probabilities."""
        looked_up = self._look_up(inputs)
        vectors, first = looked_up[:, :, :-1], looked_up[:, :, -1]
        faded = self._normalised(vectors) * (probabilities @ self.masks)
        if self._gated:
            empty = (self.masks.sum(1) == 0).float()
            first = first * (1 - probabilities @ empty)
        return Embedded(dict(zip(self.names, faded.unbind(1), strict=True)), first.sum(1))

    def _look_up(self, inputs: FieldInputs) -> Tensor:
        """Return ``(B, F, W + 1)``, from one look-up: adding sparse gradients costs more."""
        single = inputs.single + self._single_firsts
        lists = [v + first for v, first in zip(inputs.values, self._list_firsts, strict=True)]
        rows: Tensor = self.table(torch.cat([single.flatten(), *lists]))
        found, *values = torch.split(rows, [single.numel(), *map(len, lists)])
        parts = [found.view(*single.shape, -1)]
        for own, offsets in zip(values, inputs.offsets, strict=True):
            parts.append(_means(own, offsets)[:, None])
        return torch.cat(parts, dim=1)

    def _normalised(self, vectors: Tensor) -> Tensor:
        if self._batch_norm == "off":
            return vectors
        normal: Tensor = self.normalise(
            vectors.flatten(0, 1) if self._batch_norm == "shared" else vectors.flatten(1)
        )
        return normal.view_as(vectors)


def _means(vectors: Tensor, offsets: Tensor) -> Tensor:
    """Return ``(B, columns)`` means of consecutive vectors; zero where there are none."""
    lengths = offsets.diff()
    owners = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    sums = vectors.new_zeros(len(lengths), vectors.shape[1]).index_add(0, owners, vectors)
    return sums / lengths.clamp(min=1)[:, None]


def first_rows(schema: RankingSchema) -> tuple[dict[str, int], int]:
    """Return where each field's rows begin when all tables lie below one another, and their number."""
    firsts: dict[str, int] = {}
    end = 0
    for field in schema.fields:
        if not field.spec.shares:
            firsts[field.spec.name], end = end, end + field.n_codes
    for field in schema.fields:
        if field.spec.shares:
            firsts[field.spec.name] = firsts[field.spec.shares]
    return firsts, end
