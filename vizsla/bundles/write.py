"""Writes bundles: complete under their content hash, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vizsla import __version__
from vizsla.bundles.bundle import Bundle
from vizsla.bundles.layout import (
    GOLDEN_FILE,
    GRAPH_DIR,
    ITEM_NET_FILE,
    ITEMS_FILE,
    MANIFEST_FILE,
    SHARDS_DIR,
    TABLES_DIR,
    VECTORS_FILE,
    WEIGHTS_FILE,
    canonical,
    content_hash,
    is_safe_name,
    items_problem,
    manifest_hash,
)
from vizsla.bundles.load import load
from vizsla.bundles.tables import write_tables
from vizsla.clock import Clock
from vizsla.contracts.bundle import (
    DatasetRef,
    FileEntry,
    GateCheck,
    GoldenRequest,
    ItemColumn,
    Manifest,
    ModelRef,
)
from vizsla.contracts.index import IndexManifest
from vizsla.contracts.tables import TablesManifest
from vizsla.errors import ContractError
from vizsla.files import atomic_directory, sha256_file
from vizsla.vocabulary import Vocabulary

__all__ = ["BundleParts", "derive", "write"]


@dataclass(frozen=True)
class BundleParts:
    """Everything that goes into a new bundle.

    Shapes: **N** items, **D** vector size.

    Attributes:
        model: Registered name and configuration of the model.
        weights: Its tensors by name.
        items: N rows with ``item_num`` (0 to N - 1 in order), ``item_id``, ``n_interactions``
            and the items' own columns.
        item_vectors: ``(N, D)`` float32, finite.
        golden: Requests with the exact answers they must get.
        recipe: Registered name of the recipe that trained it.
        recipe_settings: Its settings, JSON-able.
        seed: The seed of the training.
        dataset: What it was trained on.
        user_features: Column name to its values, code 1 first.
        metrics: Validation figures, finite.
        gate: The comparisons behind ``publishable``.
        publishable: Whether all of them were met.
        item_net: The item columns that the item net reads, in its order.
        tables: Float32 item tables beside the vectors, N rows each, as the weights make them.
    """

    model: ModelRef
    weights: Mapping[str, NDArray[Any]]
    items: pa.Table
    item_vectors: NDArray[np.float32]
    golden: list[GoldenRequest]
    recipe: str
    recipe_settings: dict[str, Any]
    seed: int
    dataset: DatasetRef
    user_features: dict[str, list[str]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    gate: list[GateCheck] = field(default_factory=list)
    publishable: bool = False
    item_net: list[ItemColumn] = field(default_factory=list)
    tables: list[NDArray[np.float32]] = field(default_factory=list)


def write(parent: Path, parts: BundleParts, clock: Clock) -> Bundle:
    """Write a bundle to ``parent / content_hash`` and open it.

    The same parts give the same hash whenever they are written; if that
    bundle is already there it is left as it is.

    Raises:
        ContractError: The parts do not fit together.
    """
    _check_parts(parts)
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix=".bundle.") as name:
        staging = Path(name)
        _write_files(staging, parts)
        written = [path for path in staging.rglob("*") if path.is_file()]
        files = {path.relative_to(staging).as_posix(): _entry(path) for path in written}
        manifest = Manifest(
            created_at=_timestamp(clock),
            vizsla_version=__version__,
            model=parts.model,
            recipe=parts.recipe,
            recipe_settings=parts.recipe_settings,
            seed=parts.seed,
            dataset=parts.dataset,
            n_items=len(parts.item_vectors),
            embedding_size=parts.item_vectors.shape[1],
            vocab_hash=Vocabulary(parts.items.column("item_id").to_pylist()).content_hash,
            vectors_hash=files[VECTORS_FILE].sha256,
            user_features=parts.user_features,
            user_columns=list(parts.user_features),
            metrics=parts.metrics,
            gate=parts.gate,
            publishable=parts.publishable,
            tables=_tables_manifest(parts, files),
            files=files,
        )
        return _publish(parent, staging, manifest)


def derive(
    bundle: Bundle,
    parent: Path,
    *,
    files: Mapping[str, Path],
    index: IndexManifest | None,
    clock: Clock,
    facts: Mapping[str, object] | None = None,
    tables: TablesManifest | None = None,
) -> Bundle:
    """Write a new bundle that differs from another in some files, and open it.

    Unchanged files are hard links where the file system allows it.  The files of
    a graph are taken over only with their index: unless ``index`` equals
    the old one, ``files`` must bring all of ``graph/``.

    Args:
        bundle: The one to start from; it becomes ``parent`` in the manifest.
        parent: The directory that the new bundle is written into.
        files: Path within the bundle to a file on disk: what is new or different.
        index: The manifest of the new bundle's graph, or None for none.
        tables: The manifest of other tables, of which ``files`` has to bring all; None keeps the
            bundle's own as long as weights and vectors stay and there are no shards.
        clock: For ``created_at``.
        facts: Fields of the manifest that are new, such as ``n_items`` and ``vocab_hash`` of
            other items.  ``shards``, of which ``files`` has to bring all, is never taken over.
    """
    kept = set(bundle.manifest.files) - set(files)
    kept = {name for name in kept if not name.startswith(f"{SHARDS_DIR}/")}
    if index != bundle.manifest.index:
        kept = {name for name in kept if not name.startswith(f"{GRAPH_DIR}/")}
    outdated = "shards" in (facts or {}) or {VECTORS_FILE, WEIGHTS_FILE} & set(files)
    kept_tables = None if outdated else bundle.manifest.tables
    if tables is not None or kept_tables is None:
        kept = {name for name in kept if not name.startswith(f"{TABLES_DIR}/")}
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix=".bundle.") as name:
        staging = Path(name)
        entries = {name: bundle.manifest.files[name] for name in kept}
        for kept_name in kept:
            _link(bundle.path / kept_name, staging / kept_name)
        for new_name, source in files.items():
            entries[new_name] = _take(source, staging, new_name)
        changes = {
            "files": entries,
            "index": index,
            "tables": tables or kept_tables,
            "shards": None,
            "vectors_hash": entries[VECTORS_FILE].sha256,
            "created_at": _timestamp(clock),
            "vizsla_version": __version__,
            "parent": bundle.manifest.content_hash,
            **(facts or {}),
        }
        return _publish(parent, staging, bundle.manifest.model_copy(update=changes))


def _check_parts(parts: BundleParts) -> None:
    """What we would refuse to load is refused before it is written."""
    vectors = parts.item_vectors
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise ContractError("item_vectors of a bundle must be a finite (N, D) float32 array")
    problem = items_problem(parts.items, len(vectors))
    if problem:
        raise ContractError(f"items of a bundle: {problem}")
    for request in parts.golden:
        if len(request.scores) != len(request.item_ids) or not np.isfinite(request.scores).all():
            raise ContractError("a golden request needs one finite score for each of its items")
    try:
        canonical({"a": parts.recipe_settings, "b": parts.model.config, "c": parts.dataset.split})
    except (TypeError, ValueError) as error:
        raise ContractError(f"settings in a bundle must be plain JSON: {error}") from None


def _tables_manifest(parts: BundleParts, files: Mapping[str, FileEntry]) -> TablesManifest | None:
    if not parts.tables:
        return None
    return TablesManifest(
        dtype="float32",
        n_tables=1 + len(parts.tables),
        weights_hash=files[WEIGHTS_FILE].sha256,
        vectors_hash=files[VECTORS_FILE].sha256,
    )


def _write_files(folder: Path, parts: BundleParts) -> None:
    weights = {name: np.asarray(array, order="C") for name, array in parts.weights.items()}
    save_file(weights, folder / WEIGHTS_FILE)
    pq.write_table(parts.items, folder / ITEMS_FILE)
    np.save(folder / VECTORS_FILE, np.asarray(parts.item_vectors, order="C"), allow_pickle=False)
    if parts.tables:
        write_tables(folder / TABLES_DIR, parts.tables)
    if parts.item_net:
        columns = [column.model_dump() for column in parts.item_net]
        (folder / ITEM_NET_FILE).write_text(json.dumps(columns), encoding="utf-8")
    lines = [request.model_dump_json() + "\n" for request in parts.golden]
    (folder / GOLDEN_FILE).write_text("".join(lines), encoding="utf-8")


def _publish(parent: Path, staging: Path, manifest: Manifest) -> Bundle:
    """Complete the manifest, move everything to its final name at once, and verify it."""
    raw, name = _sealed(manifest)
    (staging / MANIFEST_FILE).write_bytes(raw)
    with atomic_directory(parent / name) as final:
        for path in list(staging.iterdir()):
            path.rename(final / path.name)
        for path in final.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o444)
    return load(parent / name)


def _sealed(manifest: Manifest) -> tuple[bytes, str]:
    fields = manifest.model_dump(mode="json")
    try:
        fields["content_hash"] = content_hash(fields)
        fields["manifest_hash"] = manifest_hash(fields)
        return canonical(fields), fields["content_hash"]
    except ValueError as error:
        raise ContractError(
            f"a bundle's manifest holds a number that is not finite: {error}"
        ) from None


def _take(source: Path, staging: Path, name: str) -> FileEntry:
    if not is_safe_name(name):
        raise ContractError(f"file name {name!r} is not allowed in a bundle")
    target = staging / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return _entry(target)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _entry(path: Path) -> FileEntry:
    return FileEntry(sha256=sha256_file(path), n_bytes=path.stat().st_size)


def _timestamp(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.now_s(), UTC).isoformat(timespec="seconds")
