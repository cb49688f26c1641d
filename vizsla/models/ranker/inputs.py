"""Encoded rows as tensors, in the order in which a schema's fields are looked up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows

__all__ = ["FieldInputs", "list_fields", "single_fields", "to_inputs"]


@dataclass(frozen=True, slots=True)
class FieldInputs:
    """Codes of B rows.

    Attributes:
        single: ``(B, F)`` int64 codes of the kept fields with one value, in the schema's order.
        values: Per kept field of several values, ``(V,)`` int64 codes of all rows.
        offsets: Per such field, ``(B + 1,)`` int64, where each row's values begin.
    """

    single: Tensor
    values: tuple[Tensor, ...] = ()
    offsets: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.single)


def single_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that have one value."""
    return [field for field in schema.kept if not field.spec.is_list]


def list_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that have any number of values."""
    return [field for field in schema.kept if field.spec.is_list]


def to_inputs(schema: RankingSchema, rows: EncodedRows) -> FieldInputs:
    """Return the kept fields of B rows as tensors.

    Raises:
        KeyError: The rows lack a field that the schema keeps.
    """
    single = [rows.single[field.spec.name] for field in single_fields(schema)]
    codes = np.stack(single, axis=1) if single else np.empty((len(rows), 0), np.int32)
    lists = [rows.lists[field.spec.name] for field in list_fields(schema)]
    return FieldInputs(
        torch.from_numpy(codes.astype(np.int64)),
        tuple(torch.from_numpy(ragged.values.astype(np.int64)) for ragged in lists),
        tuple(torch.from_numpy(ragged.offsets) for ragged in lists),
    )
