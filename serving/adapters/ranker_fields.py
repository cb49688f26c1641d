"""The fields of a ranker for people: as training reported them, or as the schema has them."""

from __future__ import annotations

from vizsla.contracts.importance import FieldImportance, ImportanceReport
from vizsla.contracts.ranking import RankerField, RankingSchema

__all__ = ["unmeasured"]


def unmeasured(schema: RankingSchema) -> ImportanceReport:
    """Return the report of a ranker that carries none: its widths, without any effect."""
    return ImportanceReport(
        frame=schema.frame,
        schema_id=schema.schema_id,
        method=schema.search.method,
        n_parameters=schema.n_parameters,
        fields=tuple(_field(one, schema.n_parameters) for one in schema.fields),
    )


def _field(one: RankerField, n_parameters: int) -> FieldImportance:
    outcome = "kept" if one.kept else "dropped"
    reason = f"{outcome}: the ranker carries no report of why"
    return FieldImportance.of(one, n_parameters, reason)
