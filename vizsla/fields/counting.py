"""One pass over training rows: what every field's encoder has to know."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from vizsla.contracts.fields import BucketEncoding, FieldSpec, VocabularyEncoding
from vizsla.fields.encoder import Encoder, unfitted
from vizsla.fields.number_encoders import QuantileCounter
from vizsla.fields.text_encoders import VocabularyCounter
from vizsla.fields.values import list_column, number_column, text_column

__all__ = ["FieldCounters"]

Counter = VocabularyCounter | QuantileCounter


class FieldCounters:
    """Counts the values of all fields that need it; a shared vocabulary is the owner's alone.

    Args:
        fields: Declared fields.
    """

    def __init__(self, fields: Sequence[FieldSpec]) -> None:
        self._fields = [field for field in fields if not field.shares]
        self._counters = {
            field.name: counter
            for field in self._fields
            if (counter := _counter(field)) is not None
        }

    def add(self, table: pl.DataFrame) -> None:
        """Count the rows of a table.

        Raises:
            DataError: A column's type does not fit its field.
        """
        for field in self._fields:
            if field.name in table.columns:
                self._count(field, table[field.name])

    def _count(self, field: FieldSpec, column: pl.Series) -> None:
        counter = self._counters.get(field.name)
        if isinstance(counter, QuantileCounter):
            counter.add(number_column(column))
        elif counter is not None:
            counter.add(*_distinct(list_column(column)[0] if field.is_list else column))

    def encoders(self) -> dict[str, tuple[FieldSpec, Encoder]]:
        """Return the encoders by field, those that share left out."""
        return {field.name: (field, self._encoder(field)) for field in self._fields}

    def _encoder(self, field: FieldSpec) -> Encoder:
        counter = self._counters.get(field.name)
        return unfitted(field) if counter is None else counter.encoder()


def _distinct(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the different values of a column as text, and how often each occurs.

    Few values are left to be made text of; two that have the same text are added up later.
    """
    counts = column.alias("value").value_counts(name="count")
    return text_column(counts["value"]).alias("value"), counts["count"]


def _counter(field: FieldSpec) -> Counter | None:
    encoding = field.encoding
    if isinstance(encoding, VocabularyEncoding):
        return VocabularyCounter(encoding)
    return QuantileCounter(encoding) if isinstance(encoding, BucketEncoding) else None
