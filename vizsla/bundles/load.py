"""Opens a bundle, and refuses one that is not exactly what was written."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from vizsla.bundles.bundle import Bundle
from vizsla.bundles.layout import (
    GRAPH_DIR,
    ITEMS_FILE,
    LATEST_FILE,
    MANIFEST_FILE,
    RANKER_DIR,
    REQUIRED_FILES,
    TABLES_DIR,
    VECTORS_FILE,
    WEIGHTS_FILE,
    canonical,
    content_hash,
    manifest_hash,
)
from vizsla.bundles.shards import check_shards
from vizsla.bundles.tables import read_tables, table_files
from vizsla.bundles.verified import (
    check_files,
    check_hashes,
    check_sizes,
    corrupt,
    read_fields,
    validated,
)
from vizsla.contracts.bundle import FORMAT_VERSION, Manifest
from vizsla.errors import IncompatibleArtifactError, NotFoundError

__all__ = ["load", "locate"]

ROWS_AT_ONCE = 65_536


def load(path: Path, *, verify: bool = True) -> Bundle:
    """Open a bundle.

    Args:
        path: The bundle's directory, or a directory of ``vizsla train`` whose
            ``latest_bundle`` names it.
        verify: Also hash every file and check what is in them; without it only the
            manifest, the names and the sizes are checked.

    Raises:
        NotFoundError: There is no bundle at ``path``.
        CorruptArtifactError: A file is missing, too many, or not what the manifest says.
        IncompatibleArtifactError: Unknown format version, or parts of different bundles.
    """
    folder = locate(path)
    manifest = read_manifest(folder)
    check_files(folder / MANIFEST_FILE, manifest.files, REQUIRED_FILES, "a bundle")
    check_sizes(folder, manifest.files)
    bundle = Bundle(folder, manifest)
    if verify:
        check_hashes(folder, manifest.files)
        _check_contents(bundle)
    return bundle


def locate(path: Path) -> Path:
    """Return the bundle directory that ``path`` is, or that its ``latest_bundle`` names.

    Raises:
        NotFoundError: Neither.
    """
    if (path / MANIFEST_FILE).exists() or (path / MANIFEST_FILE).is_symlink():
        return path
    if (path / LATEST_FILE).is_file():
        named = (path / LATEST_FILE).read_text(encoding="utf-8").strip()
        for folder in (path / named, Path(named)):
            if (folder / MANIFEST_FILE).exists():
                return folder
        raise NotFoundError(f"{path / LATEST_FILE}: names {named!r}, which is no bundle")
    why = "no manifest.json in it" if path.is_dir() else "no such directory"
    raise NotFoundError(f"{path}: not a bundle, {why}")


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json`` alone.

    Raises:
        CorruptArtifactError: It is not what was written.
        IncompatibleArtifactError: It is of another format version.
    """
    path = folder / MANIFEST_FILE
    raw, fields = read_fields(path)
    version = fields.get("format_version")
    if version != FORMAT_VERSION:
        raise IncompatibleArtifactError(
            f"{path}: format version {version!r}, this Vizsla reads {FORMAT_VERSION}; "
            "export the bundle again, or use the version that wrote it"
        )
    manifest = validated(Manifest, path, fields)
    if canonical(fields) != raw or manifest_hash(fields) != manifest.manifest_hash:
        corrupt(path, "was changed after it was written (its own hash does not match)")
    if content_hash(fields) != manifest.content_hash:
        corrupt(path, "content hash does not match the other fields")
    return manifest


def _check_contents(bundle: Bundle) -> None:
    """What the files hold fits together, whatever their hashes say."""
    manifest = bundle.manifest
    if bundle.vocabulary.content_hash != manifest.vocab_hash:
        _mixed(bundle, ITEMS_FILE, "its vocabulary is not the one of the manifest (vocab_hash)")
    if manifest.files[VECTORS_FILE].sha256 != manifest.vectors_hash:
        _mixed(bundle, VECTORS_FILE, "not the vectors of the manifest (vectors_hash)")
    vectors = bundle.item_vectors()
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        finite = np.isfinite(vectors[start : start + ROWS_AT_ONCE]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            corrupt(
                bundle.path / VECTORS_FILE, f"holds values that are not finite, first in row {row}"
            )
    bundle.weights()
    bundle.golden()
    bundle.item_net()
    _check_index(bundle)
    _check_tables(bundle)
    check_shards(bundle)
    _check_ranker(bundle)


def _check_index(bundle: Bundle) -> None:
    manifest = bundle.manifest
    graph_files = [name for name in manifest.files if name.startswith(f"{GRAPH_DIR}/")]
    if manifest.index is None:
        if graph_files:
            _mixed(bundle, graph_files[0], "a graph without an index in the manifest")
        return
    if not graph_files:
        _mixed(bundle, GRAPH_DIR, "the manifest has an index, but there is no graph")
    for field in ("n_items", "vocab_hash", "vectors_hash"):
        if getattr(manifest.index, field) != getattr(manifest, field):
            _mixed(bundle, GRAPH_DIR, f"the graph was built for another bundle ({field} differs)")


def _check_tables(bundle: Bundle) -> None:
    manifest = bundle.manifest
    found = {name for name in manifest.files if name.startswith(f"{TABLES_DIR}/")}
    if manifest.tables is None:
        if found:
            _mixed(bundle, min(found), "item tables that the manifest does not describe")
        return
    made_from = {
        "weights_hash": manifest.files[WEIGHTS_FILE].sha256,
        "vectors_hash": manifest.vectors_hash,
    }
    for field, own in made_from.items():
        if getattr(manifest.tables, field) != own:
            _mixed(bundle, TABLES_DIR, f"computed from another bundle ({field} differs)")
    odd = found ^ set(table_files(manifest.tables))
    if odd:
        _mixed(bundle, min(odd), "the manifest's tables are others")
    read_tables(bundle)


def _check_ranker(bundle: Bundle) -> None:
    found = [name for name in bundle.manifest.files if name.startswith(f"{RANKER_DIR}/")]
    ranker = bundle.ranker()
    if ranker is None:
        if found:
            _mixed(bundle, min(found), "a ranker that the manifest does not describe")
        return
    entry = bundle.manifest.ranker
    assert entry is not None
    if ranker.manifest.content_hash != entry.content_hash:
        _mixed(bundle, RANKER_DIR, "not the ranker of the manifest (content_hash)")


def _mixed(bundle: Bundle, name: str, why: str) -> NoReturn:
    raise IncompatibleArtifactError(f"{bundle.path / name}: {why}")
