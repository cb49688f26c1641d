"""The encoders of all fields of a frame: fitted on training rows, repeated by the server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec, check_fields
from vizsla.contracts.ranking import RankerField, RankingSchema, SearchRecord
from vizsla.errors import FieldProblem, InvalidRequestError, UsageError
from vizsla.fields import storage, values
from vizsla.fields.counting import FieldCounters
from vizsla.fields.encoder import Encoder
from vizsla.fields.ragged import ragged
from vizsla.fields.rows import EncodedRows, Ragged
from vizsla.fields.text_encoders import VocabularyEncoder
from vizsla.fields.values import Texts

__all__ = ["FieldEncoders"]

_VERSION = 1
"""Raised when the same declaration and data would give other codes."""


class FieldEncoders:
    """Turns rows into codes, field by field.

    Args:
        fields: Those that ``encode`` gives.
        encoders: With the declaration that they are of, by its name: for every field that does
            not share, and for every field that is shared.
        hashes: Of every field of the frame, those that were left out included; None
            computes them.

    Attributes:
        fields: As given.
        hashes: Field to what decides its codes: its declaration and its values.
    """

    def __init__(
        self,
        fields: Sequence[FieldSpec],
        encoders: Mapping[str, tuple[FieldSpec, Encoder]],
        hashes: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = tuple(fields)
        self._encoders = dict(encoders)
        self.hashes = dict(hashes or {field.name: self._hash(field) for field in fields})

    @classmethod
    def fit(cls, fields: Sequence[FieldSpec], tables: Iterable[pl.DataFrame]) -> FieldEncoders:
        """Learn vocabularies and quantiles in one pass; how rows are cut into tables is the same.

        Args:
            fields: Declared fields; a column that a table lacks has no values there.
            tables: Training rows, read once.

        Raises:
            DataError: A column's type does not fit its field; names the column.
        """
        counters = FieldCounters(check_fields(list(fields)))
        for table in tables:
            counters.add(table)
        return cls(fields, counters.encoders())

    def encode(self, table: pl.DataFrame) -> EncodedRows:
        """Return the rows of a table as codes.

        Columns that it lacks are ``MISSING`` everywhere; ``label`` and ``weight`` are taken
        where they are there.

        Raises:
            DataError: A column's type does not fit its field; names the column.
        """
        empty = pl.Series(dtype=pl.Null).extend_constant(None, table.height)
        columns = {
            field.name: table[field.name] if field.name in table.columns else empty
            for field in self.fields
        }
        return self._encoded(columns, _COLUMNS, _floats(table, "label"), _floats(table, "weight"))

    def encode_records(self, records: Sequence[Mapping[str, Any]]) -> EncodedRows:
        """Return rows that came as JSON objects as codes, the same as a table of them gives.

        Raises:
            InvalidRequestError: A value's type does not fit its field; the pointer is
                ``/ROW/FIELD``.
        """
        columns = {field.name: [one.get(field.name) for one in records] for field in self.fields}
        try:
            return self._encoded(columns, _VALUES, None, None)
        except TypeError as error:
            raise self._problem(records) from error

    def encode_one(self, record: Mapping[str, Any]) -> EncodedRows:
        """Return a single row as codes; see ``encode_records``."""
        return self.encode_records([record])

    def n_codes(self, name: str) -> int:
        """Return the rows of a field's table; of the one that it shares, where it does.

        Raises:
            UsageError: There is no such field.
        """
        return self._encoder(self._field(name)).n_codes

    def vocabulary(self, name: str) -> pl.Series | None:
        """Return the known texts of a field, the first with code 2; None where codes are no texts."""
        encoder = self._encoder(self._field(name))
        return encoder.values if isinstance(encoder, VocabularyEncoder) else None

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 over everything that decides codes, of all fields of the frame."""
        lines = [f"{name} {one}" for name, one in sorted(self.hashes.items())]
        return hashlib.sha256("\n".join([str(_VERSION), *lines]).encode()).hexdigest()

    def keep(self, names: Iterable[str]) -> FieldEncoders:
        """Return what some of the fields need; codes and ``content_hash`` stay the same.

        Raises:
            UsageError: There is no such field.
        """
        wanted = {self._field(name).name for name in names}
        kept = [field for field in self.fields if field.name in wanted]
        owners = {field.shares or field.name for field in kept}
        left = {name: one for name, one in self._encoders.items() if name in owners}
        return FieldEncoders(kept, left, self.hashes)

    def schema(
        self,
        frame: TrainingFrame,
        dims: int | Mapping[str, int],
        search: SearchRecord | None = None,
    ) -> RankingSchema:
        """Return the schema of a ranker over these fields.

        Args:
            frame: What the encoders were fitted on.
            dims: Width of every field, or of each; 0 drops a field, and so does not naming it.
            search: How the widths were found.

        Raises:
            UsageError: A width is given for a field that is not there.
        """
        widths = {f.name: dims for f in self.fields} if isinstance(dims, int) else dict(dims)
        for name in widths:
            self._field(name)
        return RankingSchema(
            frame=frame.name,
            frame_hash=frame.content_hash,
            vocabulary_hash=self.content_hash,
            fields=tuple(
                RankerField(spec=f, n_codes=self.n_codes(f.name), dim=widths.get(f.name, 0))
                for f in self.fields
            ),
            search=search or SearchRecord(),
        )

    def save(self, folder: Path) -> None:
        """Write everything into a new folder, all or nothing."""
        storage.save(folder, self.fields, self._encoders, self.hashes)

    @classmethod
    def load(cls, folder: Path) -> FieldEncoders:
        """Read what ``save`` wrote.

        Raises:
            NotFoundError: There is nothing.
            CorruptArtifactError: A file is broken, or not the one that was written.
            IncompatibleArtifactError: It was written by another format version.
        """
        fields, encoders, hashes = storage.load(folder)
        loaded = cls(fields, encoders, hashes)
        for field in fields:
            if hashes.get(field.name) != loaded._hash(field):
                raise storage.changed(folder, field.name)
        return loaded

    def _field(self, name: str) -> FieldSpec:
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(field.name for field in self.fields)
        raise UsageError(f"no field {name!r}; known: {known}")

    def _encoder(self, field: FieldSpec) -> Encoder:
        return self._encoders[field.shares or field.name][1]

    def _hash(self, field: FieldSpec) -> str:
        held = b"" if field.shares else self._encoder(field).digest()
        return hashlib.sha256(field.model_dump_json().encode() + b"\0" + held).hexdigest()

    def _encoded(
        self,
        columns: Mapping[str, Any],
        reader: _Reader,
        labels: NDArray[np.float32] | None,
        weights: NDArray[np.float32] | None,
    ) -> EncodedRows:
        coded = {
            field.name: reader.codes(field, self._encoder(field), column)
            for field, column in zip(self.fields, columns.values(), strict=True)
        }
        return EncodedRows(
            {name: codes for name, codes in coded.items() if not isinstance(codes, Ragged)},
            {name: codes for name, codes in coded.items() if isinstance(codes, Ragged)},
            labels,
            weights,
        )

    def _problem(self, records: Sequence[Mapping[str, Any]]) -> InvalidRequestError:
        """Say which values have a wrong type; called only when there is one."""
        problems = []
        for row, record in enumerate(records):
            for field in self.fields:
                try:
                    _VALUES.read(field, [record.get(field.name)])
                except TypeError as error:
                    problems.append(FieldProblem(f"/{row}/{field.name}", str(error)))
        first = problems[0]
        return InvalidRequestError(f"{first.pointer}: {first.detail}", tuple(problems))


@dataclass(frozen=True, slots=True)
class _Reader:
    """How values are read, of a table's column or of a list."""

    texts: Callable[[Any], Texts]
    numbers: Callable[[Any], NDArray[np.float64]]
    lists: Callable[[Any], tuple[Texts, NDArray[np.int64]]]

    def read(self, field: FieldSpec, column: Any) -> Any:
        """Return what the field's encoder takes; of lists, with the length of each."""
        if field.kind == "numeric":
            return self.numbers(column)
        return self.lists(column) if field.is_list else self.texts(column)

    def codes(self, field: FieldSpec, encoder: Encoder, column: Any) -> NDArray[np.int32] | Ragged:
        """Return the codes of one column."""
        held = self.read(field, column)
        if field.is_list:
            return ragged(encoder.codes(held[0]), held[1], field)
        return encoder.codes(held)


def _list_texts(column: pl.Series) -> tuple[Texts, NDArray[np.int64]]:
    flat, lengths = values.list_column(column)
    return Texts.of_column(flat), lengths


_COLUMNS = _Reader(values.column_texts, values.number_column, _list_texts)
_VALUES = _Reader(values.texts, values.numbers, values.lists)


def _floats(table: pl.DataFrame, name: str) -> NDArray[np.float32] | None:
    return table[name].cast(pl.Float32).to_numpy() if name in table.columns else None
