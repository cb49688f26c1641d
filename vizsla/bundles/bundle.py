"""An open bundle: its parts, each read when asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vizsla.bundles.layout import (
    GOLDEN_FILE,
    GRAPH_DIR,
    ITEM_NET_FILE,
    ITEMS_FILE,
    RANKER_DIR,
    VECTORS_FILE,
    WEIGHTS_FILE,
    items_problem,
)
from vizsla.contracts.bundle import GoldenRequest, ItemColumn, Manifest
from vizsla.errors import CorruptArtifactError, DataError
from vizsla.vocabulary import Vocabulary

if TYPE_CHECKING:
    from vizsla.bundles.ranker import ExportedRanker

__all__ = ["Bundle"]

_ITEM_COLUMNS: Final = TypeAdapter(list[ItemColumn])


class Bundle:
    """A verified bundle directory; get one from ``load``, ``write`` or ``derive``.

    Shapes: **N** items, **D** vector size.

    Args:
        path: The directory.
        manifest: What its ``manifest.json`` says.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    def __repr__(self) -> str:
        return f"Bundle({self.manifest.content_hash[:12]}, {self.manifest.n_items} items)"

    @cached_property
    def items(self) -> pa.Table:
        """The N items in row order: ``item_num``, ``item_id``, ``n_interactions``, own columns."""
        try:
            table = pq.read_table(self.path / ITEMS_FILE)
        except (pa.ArrowException, OSError) as error:
            raise CorruptArtifactError(f"{self.path / ITEMS_FILE}: {_one_line(error)}") from None
        problem = items_problem(table, self.manifest.n_items)
        if problem:
            raise CorruptArtifactError(f"{self.path / ITEMS_FILE}: {problem}")
        return table

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Item ids in row order."""
        try:
            return Vocabulary(self.items.column("item_id").to_pylist())
        except DataError as error:
            raise CorruptArtifactError(f"{self.path / ITEMS_FILE}: {error}") from None

    @property
    def graph_dir(self) -> Path | None:
        """The folder of the graph's files, or None before ``vizsla index build``."""
        return self.path / GRAPH_DIR if self.manifest.index is not None else None

    def item_vectors(self) -> NDArray[np.float32]:
        """Return the ``(N, D)`` float32 vectors, mapped from disk and read-only."""
        path = self.path / VECTORS_FILE
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise CorruptArtifactError(f"{path}: {_one_line(error)}") from None
        expected = (self.manifest.n_items, self.manifest.embedding_size)
        if vectors.shape != expected or vectors.dtype != np.float32:
            raise CorruptArtifactError(
                f"{path}: {vectors.dtype}{vectors.shape}, the manifest says float32{expected}"
            )
        return np.asarray(vectors)

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """Return the model's tensors by name."""
        path = self.path / WEIGHTS_FILE
        try:
            return dict(load_file(path))
        except (OSError, SafetensorError, KeyError) as error:
            raise CorruptArtifactError(f"{path}: {_one_line(error)}") from None

    def golden(self) -> list[GoldenRequest]:
        """Return the requests with the answers that a scorer of this bundle must give."""
        path = self.path / GOLDEN_FILE
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return [GoldenRequest.model_validate_json(line) for line in lines]
        except (OSError, ValueError) as error:
            raise CorruptArtifactError(f"{path}: {_one_line(error)}") from None

    def item_net(self) -> list[ItemColumn]:
        """Return the item columns that the item net reads, in its order; none for a net without."""
        path = self.path / ITEM_NET_FILE
        if ITEM_NET_FILE not in self.manifest.files:
            return []
        try:
            return _ITEM_COLUMNS.validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CorruptArtifactError(f"{path}: {_one_line(error)}") from None

    def ranker(self) -> ExportedRanker | None:
        """Return the ranker, verified; None where the bundle has none."""
        if self.manifest.ranker is None:
            return None
        from vizsla.bundles.ranker import read_ranker  # its encoders need what few bundles do

        return read_ranker(self.path / RANKER_DIR)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
