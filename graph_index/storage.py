"""A graph on disk: three arrays and a manifest, mapped into memory when loaded.

::

    neighbors.npy      (N, M) int32
    entry_points.npy   (E,) int32
    alive.npy          (N,) bool
    index.json         IndexManifest
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from graph_index.check import problems
from graph_index.graph import Graph
from vizsla.contracts.index import IndexManifest
from vizsla.errors import (
    ContractError,
    CorruptArtifactError,
    IncompatibleArtifactError,
    UsageError,
)
from vizsla.files import atomic_directory, write_text

__all__ = ["FILES", "FORMAT_VERSION", "load", "save"]

FORMAT_VERSION = 1
_MANIFEST = "index.json"
_ARRAYS = ("neighbors", "entry_points", "alive")
FILES = (*(f"{name}.npy" for name in _ARRAYS), _MANIFEST)
"""Names of the files in the directory."""


def save(directory: Path, graph: Graph, manifest: IndexManifest) -> None:
    """Write a graph into a new directory, complete or not at all.

    Raises:
        UsageError: The directory exists.
        ContractError: The manifest describes another graph.
    """
    if directory.exists():
        raise UsageError(f"{directory} exists; a graph is written into a new directory")
    if wrong := _mismatches(graph, manifest):
        raise ContractError(f"graph and manifest disagree: {'; '.join(wrong)}")
    with atomic_directory(directory) as folder:
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(graph, name), allow_pickle=False)
        write_text(folder / _MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def load(
    directory: Path,
    *,
    vocab_hash: str | None = None,
    vectors_hash: str | None = None,
    in_memory: bool = False,
) -> tuple[Graph, IndexManifest]:
    """Open a graph and verify that it is whole and belongs where it is used.

    Args:
        directory: What ``save`` wrote.
        vocab_hash: Hash of the items it must have been built for; None accepts any.
        vectors_hash: Hash of the vectors it must have been built over; None accepts any.
        in_memory: Copy the arrays instead of mapping the files.

    Raises:
        CorruptArtifactError: A file is missing, cannot be read, holds item numbers out of
            range, or the graph does not reach every item.
        IncompatibleArtifactError: An unknown format, or another vocabulary or other vectors.

    Complexity:
        Reads every byte once: about 10 ms for 41,000 items.
    """
    manifest = _read_manifest(directory / _MANIFEST)
    _check_origin(directory, manifest, vocab_hash, vectors_hash)
    neighbors, entry_points, alive = (
        _read_array(directory / f"{name}.npy", in_memory=in_memory) for name in _ARRAYS
    )
    try:
        graph = Graph(neighbors, entry_points, alive)
    except ContractError as error:
        raise CorruptArtifactError(f"{directory}: {error}") from None
    wrong = _mismatches(graph, manifest) or problems(graph)
    if wrong:
        raise CorruptArtifactError(f"{directory}: {'; '.join(wrong)}; build the index again")
    return graph, manifest


def _read_manifest(path: Path) -> IndexManifest:
    try:
        text = path.read_text(encoding="utf-8")
        manifest = IndexManifest.model_validate_json(text)
    except FileNotFoundError:
        raise CorruptArtifactError(f"{path} is missing; build the index again") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise CorruptArtifactError(f"{path}: {where}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptArtifactError(f"{path} cannot be read: {error}") from None
    if manifest.format_version != FORMAT_VERSION:
        raise IncompatibleArtifactError(
            f"{path}: format version {manifest.format_version} is unknown, this program "
            f"reads {FORMAT_VERSION}; build the index again"
        )
    return manifest


def _check_origin(
    directory: Path, manifest: IndexManifest, vocab_hash: str | None, vectors_hash: str | None
) -> None:
    for what, expected, found in (
        ("items", vocab_hash, manifest.vocab_hash),
        ("item vectors", vectors_hash, manifest.vectors_hash),
    ):
        if expected is not None and expected != found:
            raise IncompatibleArtifactError(
                f"{directory}: the index was built for other {what} "
                f"({found[:12]}, not {expected[:12]}); build the index again"
            )


def _read_array(path: Path, *, in_memory: bool) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
    except FileNotFoundError:
        raise CorruptArtifactError(f"{path} is missing; build the index again") from None
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise CorruptArtifactError(f"{path} cannot be read: {reason}") from None
    return np.asarray(array)


def _mismatches(graph: Graph, manifest: IndexManifest) -> list[str]:
    facts = {
        "n_items": (manifest.n_items, graph.n_items),
        "max_degree": (manifest.max_degree, graph.max_degree),
        "n_entry_points": (manifest.n_entry_points, len(graph.entry_points)),
    }
    return [
        f"{name} is {found}, the manifest says {said}"
        for name, (said, found) in facts.items()
        if said != found
    ]
