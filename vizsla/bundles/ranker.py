"""Writes and reads exported rankers, see ``vizsla.contracts.ranker`` for their files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vizsla.bundles.layout import canonical
from vizsla.bundles.verified import check_files, check_hashes, corrupt, read_fields, validated
from vizsla.contracts.bundle import FileEntry, ModelRef
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.ranker import (
    RANKER_FORMAT_VERSION,
    FrameRef,
    GoldenRow,
    RankerManifest,
    UncertaintyRef,
)
from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import (
    ContractError,
    IncompatibleArtifactError,
    NotFoundError,
)
from vizsla.fields.encoders import FieldEncoders
from vizsla.files import atomic_directory, sha256_file

__all__ = [
    "FIELDS_DIR",
    "RANKER_FILE",
    "ExportedRanker",
    "RankerParts",
    "UncertaintyParts",
    "read_ranker",
    "write_ranker",
]

RANKER_FILE = "ranker.json"
FIELDS_DIR = "fields"
_WEIGHTS = "weights.safetensors"
_GOLDEN = "golden.jsonl"
_UNCERTAINTY = "uncertainty.safetensors"
_IMPORTANCE = "importance.json"
_REQUIRED = (_WEIGHTS, _GOLDEN, f"{FIELDS_DIR}/fields.json")


@dataclass(frozen=True)
class UncertaintyParts:
    """What is stored of a ranker's uncertainty.

    Attributes:
        item_field: Kept field whose codes say which item a row shows.
        arrays: By name, as ``vizsla.models.ranker.uncertainty`` makes them.
    """

    item_field: str
    arrays: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class RankerParts:
    """Everything that goes into an exported ranker.

    Attributes:
        model: Name in ``RANKERS``, and its settings.
        schema: Kept fields and their widths.
        weights: Tensors of the ranker by name.
        encoders: Of the frame; only what kept fields need is written.
        golden: Rows and their answers.
        dataset: What it was trained on.
        metrics: Finite figures.
        calibration: JSON-able, or None.
        uncertainty: How unsure its logits are, or None.
        importance: What every field is worth, or None.
    """

    model: ModelRef
    schema: RankingSchema
    weights: Mapping[str, NDArray[Any]]
    encoders: FieldEncoders
    golden: Sequence[GoldenRow]
    dataset: FrameRef
    metrics: Mapping[str, float] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None
    uncertainty: UncertaintyParts | None = None
    importance: ImportanceReport | None = None


class ExportedRanker:
    """A verified directory; get one from ``read_ranker`` or ``write_ranker``."""

    def __init__(self, path: Path, manifest: RankerManifest) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def schema(self) -> RankingSchema:
        """Kept fields and their widths."""
        return self.manifest.ranking_schema

    @cached_property
    def encoders(self) -> FieldEncoders:
        """Encoders of the kept fields."""
        return FieldEncoders.load(self.path / FIELDS_DIR)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the ranker's tensors by name.

        Raises:
            CorruptArtifactError: The file cannot be read.
        """
        return _tensors(self.path / _WEIGHTS)

    def uncertainty(self) -> UncertaintyParts | None:
        """Return how unsure its logits are; None where that was not fitted.

        Raises:
            CorruptArtifactError: The file cannot be read.
        """
        found = self.manifest.uncertainty
        if found is None:
            return None
        return UncertaintyParts(found.item_field, _tensors(self.path / _UNCERTAINTY))

    def importance(self) -> ImportanceReport | None:
        """Return what every field is worth; None where that was not measured.

        Raises:
            CorruptArtifactError: The file cannot be read.
        """
        if _IMPORTANCE not in self.manifest.files:
            return None
        path = self.path / _IMPORTANCE
        return validated(ImportanceReport, path, read_fields(path)[1])

    def golden(self) -> list[GoldenRow]:
        """Return rows and the probabilities that they must get.

        Raises:
            CorruptArtifactError: The file cannot be read.
        """
        path = self.path / _GOLDEN
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return [GoldenRow.model_validate_json(line) for line in lines]
        except (OSError, ValueError) as error:
            corrupt(path, " ".join(str(error).split()))


def write_ranker(folder: Path, parts: RankerParts) -> ExportedRanker:
    """Write an exported ranker into a new folder, whole or not at all, and open it.

    Raises:
        ContractError: The parts do not fit together, or the folder is there already.
    """
    _check_parts(folder, parts)
    with atomic_directory(folder) as temporary:
        _write_files(temporary, parts)
        written = sorted(path for path in temporary.rglob("*") if path.is_file())
        fields = _manifest_fields(parts, {_name(temporary, path): _entry(path) for path in written})
        (temporary / RANKER_FILE).write_bytes(canonical(fields))
    return read_ranker(folder)


def read_ranker(folder: Path) -> ExportedRanker:
    """Open an exported ranker, and refuse one that is not exactly what was written.

    Raises:
        NotFoundError: There is none.
        CorruptArtifactError: A file is missing, too many, or not what the manifest says.
        IncompatibleArtifactError: Another format version, or encoders of another schema.
    """
    manifest = _read_manifest(folder / RANKER_FILE)
    required = _REQUIRED if manifest.uncertainty is None else (*_REQUIRED, _UNCERTAINTY)
    check_files(folder / RANKER_FILE, manifest.files, required, "an exported ranker")
    check_hashes(folder, manifest.files)
    found = ExportedRanker(folder, manifest)
    if found.encoders.content_hash != manifest.ranking_schema.vocabulary_hash:
        raise IncompatibleArtifactError(
            f"{folder / FIELDS_DIR}: not the encoders of the schema (vocabulary_hash)"
        )
    return found


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError, KeyError) as error:
        corrupt(path, " ".join(str(error).split()))


def _check_parts(folder: Path, parts: RankerParts) -> None:
    if folder.exists():
        raise ContractError(f"{folder}: is there already")
    if parts.encoders.content_hash != parts.schema.vocabulary_hash:
        raise ContractError("the encoders are not those of the schema (vocabulary_hash)")
    own = {} if parts.uncertainty is None else parts.uncertainty.arrays
    for name, tensor in {**parts.weights, **own}.items():
        if not np.isfinite(tensor).all():
            raise ContractError(f"tensor {name!r} holds values that are not finite")


def _write_files(folder: Path, parts: RankerParts) -> None:
    names = [one.spec.name for one in parts.schema.kept]
    parts.encoders.keep(names).save(folder / FIELDS_DIR)
    _save(folder / _WEIGHTS, parts.weights)
    if parts.uncertainty is not None:
        _save(folder / _UNCERTAINTY, parts.uncertainty.arrays)
    if parts.importance is not None:
        text = parts.importance.model_dump_json() + "\n"
        (folder / _IMPORTANCE).write_text(text, encoding="utf-8")
    lines = [row.model_dump_json() + "\n" for row in parts.golden]
    (folder / _GOLDEN).write_text("".join(lines), encoding="utf-8")


def _save(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    save_file({name: np.ascontiguousarray(one) for name, one in tensors.items()}, path)


def _manifest_fields(parts: RankerParts, files: Mapping[str, FileEntry]) -> dict[str, Any]:
    manifest = RankerManifest(
        content_hash="",
        model=parts.model,
        schema=parts.schema,
        metrics=dict(parts.metrics),
        dataset=parts.dataset,
        files=dict(files),
        calibration=None if parts.calibration is None else dict(parts.calibration),
        uncertainty=None
        if parts.uncertainty is None
        else UncertaintyRef(item_field=parts.uncertainty.item_field),
    )
    fields = manifest.model_dump(mode="json", by_alias=True)
    return fields | {"content_hash": _content_hash(fields)}


def _content_hash(fields: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in fields.items() if name != "content_hash"}
    return hashlib.sha256(canonical(kept)).hexdigest()


def _read_manifest(path: Path) -> RankerManifest:
    if not path.is_file():
        raise NotFoundError(f"{path.parent}: no exported ranker in it ({RANKER_FILE} is missing)")
    _, fields = read_fields(path)
    version = fields.get("format_version")
    if version != RANKER_FORMAT_VERSION:
        raise IncompatibleArtifactError(
            f"{path}: format version {version!r}, "
            f"this Vizsla reads {RANKER_FORMAT_VERSION}; train the ranker again"
        )
    if _content_hash(fields) != fields.get("content_hash"):
        corrupt(path, "was changed after it was written (its hash does not match)")
    return validated(RankerManifest, path, fields)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _entry(path: Path) -> FileEntry:
    return FileEntry(sha256=sha256_file(path), n_bytes=path.stat().st_size)
