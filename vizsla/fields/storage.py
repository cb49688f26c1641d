"""Encoders on disk: a JSON file, and a Parquet file per vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyarrow import ArrowException, parquet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vizsla.contracts.fields import FieldSpec, HashEncoding, LogEncoding
from vizsla.errors import CorruptArtifactError, IncompatibleArtifactError, NotFoundError
from vizsla.fields.encoder import Encoder, unfitted
from vizsla.fields.number_encoders import BucketEncoder
from vizsla.fields.text_encoders import VocabularyEncoder
from vizsla.files import atomic_directory

__all__ = ["FILE", "changed", "load", "save"]

FILE = "fields.json"
FORMAT_VERSION = 1
MAX_JSON_BYTES = 256 << 20
MAX_VOCABULARY_BYTES = 16 << 30


class _Stored(BaseModel):
    """What one encoder knows.

    Attributes:
        field: The declaration of the field whose values they are.
        file: Of its vocabulary.
        n_values: Rows of that file.
        edges: Of its buckets; None for a numeric field that had no number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: FieldSpec
    file: str | None = Field(default=None, pattern=r"^vocabulary-\d{1,6}\.parquet$")
    n_values: int = 0
    edges: list[float] | None = None


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    fields: list[FieldSpec]
    encoders: dict[str, _Stored]
    hashes: dict[str, str]


def save(
    folder: Path,
    fields: Sequence[FieldSpec],
    encoders: Mapping[str, tuple[FieldSpec, Encoder]],
    hashes: Mapping[str, str],
) -> None:
    """Write encoders into a new folder, all or nothing."""
    with atomic_directory(folder) as temporary:
        stored = {
            name: _store(temporary / f"vocabulary-{place:03}.parquet", field, encoder)
            for place, (name, (field, encoder)) in enumerate(encoders.items())
        }
        manifest = _Manifest(fields=list(fields), encoders=stored, hashes=dict(hashes))
        (temporary / FILE).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _store(path: Path, field: FieldSpec, encoder: Encoder) -> _Stored:
    if isinstance(encoder, VocabularyEncoder):
        encoder.values.rename("value").to_frame().write_parquet(path, compression="zstd")
        return _Stored(field=field, file=path.name, n_values=len(encoder.values))
    if isinstance(encoder, BucketEncoder) and encoder.any_seen:
        return _Stored(field=field, edges=encoder.edges.tolist())
    return _Stored(field=field)


def load(
    folder: Path,
) -> tuple[list[FieldSpec], dict[str, tuple[FieldSpec, Encoder]], dict[str, str]]:
    """Read the fields, the encoders and the hashes.

    Raises:
        NotFoundError: There is nothing.
        CorruptArtifactError: A file is broken or missing.
        IncompatibleArtifactError: It was written by another format version.
    """
    manifest = _manifest(folder / FILE)
    encoders = {name: (one.field, _encoder(folder, one)) for name, one in manifest.encoders.items()}
    for field in manifest.fields:
        if (field.shares or field.name) not in encoders:
            raise CorruptArtifactError(f"{folder / FILE}: field {field.name!r} has no encoder")
    return manifest.fields, encoders, manifest.hashes


def changed(folder: Path, field: str) -> CorruptArtifactError:
    """Return the error for values that are not those of the manifest."""
    return CorruptArtifactError(f"{folder}: the values of field {field!r} are not those written")


def _manifest(path: Path) -> _Manifest:
    if not path.is_file():
        raise NotFoundError(f"{path.parent}: no encoders of fields in it ({path.name} is missing)")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CorruptArtifactError(f"{path}: larger than {MAX_JSON_BYTES >> 20} MiB")
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        version = raw.get("format_version")
        if version != FORMAT_VERSION:
            raise IncompatibleArtifactError(
                f"{path}: format version {version} is unknown here (known: {FORMAT_VERSION})"
            )
        return _Manifest.model_validate(raw)
    except (ValidationError, ValueError, AttributeError) as error:
        raise CorruptArtifactError(f"{path}: {str(error).splitlines()[0]}") from error


def _encoder(folder: Path, stored: _Stored) -> Encoder:
    kind = stored.field.encoding
    if isinstance(kind, HashEncoding | LogEncoding):
        return unfitted(stored.field)
    if stored.file is not None:
        path = folder / stored.file
        try:
            return VocabularyEncoder(_vocabulary(path, stored.n_values))
        except ValueError as error:
            raise CorruptArtifactError(f"{path}: {error}") from error
    edges = np.asarray(stored.edges or [], np.float64)
    return BucketEncoder(edges, any_seen=stored.edges is not None)


def _vocabulary(path: Path, n_values: int) -> pl.Series:
    """Read a vocabulary; its size is checked before anything is unpacked."""
    try:
        held = parquet.read_metadata(path)
        n_bytes = sum(held.row_group(i).total_byte_size for i in range(held.num_row_groups))
        if held.num_rows != n_values or n_bytes > MAX_VOCABULARY_BYTES:
            raise CorruptArtifactError(f"{path}: {held.num_rows} values, {n_values} expected")
        values = pl.read_parquet(path, columns=["value"], memory_map=False)["value"]
    except (OSError, ArrowException, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorruptArtifactError(f"{path}: cannot be read ({reason})") from error
    if values.dtype != pl.String or values.null_count():
        raise CorruptArtifactError(f"{path}: no column of texts")
    return values
