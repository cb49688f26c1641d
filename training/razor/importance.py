"""What a search thinks of each field, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from training.razor.settings import WIDTHS
from vizsla.contracts.ranking import RankerField, RankingSchema, region_sizes

__all__ = ["FieldImportance", "importance"]


class FieldImportance(BaseModel):
    """One field.

    Attributes:
        name: Of the field.
        importance: Probability that it is worth having at all, from 0 to 1.
        expected_width: Mean number of columns under the probabilities.
        dim: Columns that were kept.
        n_codes: Rows of its table.
        n_parameters: Entries of its own table that were kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    importance: float
    expected_width: float
    dim: int
    n_codes: int
    n_parameters: int


def importance(schema: RankingSchema) -> list[FieldImportance]:
    """Return a row per field of a razor's schema, the most important first."""
    widths = schema.search.settings.get("widths", WIDTHS)
    rows = [_row(field, widths) for field in schema.fields if field.probabilities]
    return sorted(rows, key=lambda row: (-row.importance, -row.expected_width, row.name))


def _row(field: RankerField, widths: Sequence[int]) -> FieldImportance:
    regions = zip(field.probabilities, region_sizes(widths), strict=True)
    expected = sum(probability * size for probability, size in regions)
    return FieldImportance(
        name=field.spec.name,
        importance=1 - field.probabilities[0],
        expected_width=expected,
        dim=field.dim,
        n_codes=field.n_codes,
        n_parameters=field.n_parameters,
    )
