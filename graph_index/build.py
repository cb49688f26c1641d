"""Build a graph over item vectors: HNSW's level 0, medoid entries, every item reachable."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from graph_index.duplicates import spread_duplicates
from graph_index.graph import Graph
from graph_index.halfway import Halfway
from graph_index.nearest import faiss_threads, medoids
from graph_index.repair import repair
from graph_index.settings import BuildSettings
from vizsla.errors import DataError
from vizsla.rng import derive_seed, numpy_generator

__all__ = ["NEIGHBOURS", "BuildProgress", "BuildSettings", "build_graph", "default_entry_points"]

BuildProgress = Callable[[str, float], None]
"""Called with the step's name (``NEIGHBOURS``, ``entries``, ``repair``) and its share done."""

NEIGHBOURS = "neighbours"
"""Name of the build's long step."""

_ADD_ROWS = 8192
_ENTRIES_PER_ROOT = 5.0


def build_graph(
    item_vectors: NDArray[np.float32],
    settings: BuildSettings | None = None,
    seed: int = 0,
    *,
    alive: NDArray[np.bool_] | None = None,
    progress: BuildProgress | None = None,
    work_dir: Path | None = None,
) -> Graph:
    """Build the similarity graph that a walk moves on.

    The neighbours of an item are level 0 of an HNSW graph by Euclidean distance, so
    near and diverse; the upper levels are replaced by an entry set of k-means
    medoids, which costs fewer scored items on catalogues below some millions.
    Items that no path from the entries leads to are linked afterwards, so
    reachability is always 100 %.  Items with equal vectors (those never trained, often)
    are moved apart a little first, for the build only; otherwise they would be each
    other's only neighbours.  With ``settings.device`` the neighbours come from an exact search on
    that device instead, see ``graph_index.device.neighbors``.

    Args:
        item_vectors: ``(N, D)`` float32, finite, ``N >= 1``; the item net's output.
        settings: Degree, beam and entries; None for the defaults.
        seed: Fixes levels and entries; with one thread, equal seeds give equal graphs.
        alive: ``(N,)`` bool mask to store; None for all True.
        progress: See ``BuildProgress``.
        work_dir: Where the long step keeps what it has every few minutes and takes it up
            again; None keeps nothing.

    Returns:
        The graph.

    Raises:
        DataError: No items, wrong shape, or a vector with NaN or infinity (named).
        UsageError: There is no such device.

    Complexity:
        ``O(N log N * ef_construction * D)``: about 4 s for 41,000 x 64 on one core.

    Example:
        >>> line = np.arange(6, dtype=np.float32)[:, None]
        >>> graph = build_graph(line, BuildSettings(max_degree=4))
        >>> graph.neighbors.shape, graph.neighbors[5].tolist()
        ((6, 4), [4, 5, 5, 5])

    References:
        Malkov and Yashunin, TPAMI 2020 (HNSW); Chen et al., CIKM 2022, section 3.2.
    """
    settings = settings or BuildSettings()
    report = progress or _silent
    vectors = _checked(item_vectors)
    apart = spread_duplicates(vectors, numpy_generator(seed, "graph", "duplicates"))
    with faiss_threads(settings.n_threads):
        neighbors = _neighbor_table(apart, settings, seed, report, work_dir)
        report("entries", 0.0)
        entries = _entry_points(apart, settings, seed)
        report("entries", 1.0)
        repair(neighbors, entries, apart)
        report("repair", 1.0)
    mask = np.ones(len(vectors), np.bool_) if alive is None else np.asarray(alive, np.bool_)
    return Graph(neighbors, entries, mask)


def default_entry_points(n_items: int) -> int:
    """Return about ``5 * sqrt(N)``, at most N."""
    return min(n_items, math.ceil(_ENTRIES_PER_ROOT * math.sqrt(n_items)))


def _silent(_step: str, _share: float) -> None:
    """Report nothing."""


def _checked(item_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors = np.ascontiguousarray(item_vectors, np.float32)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise DataError(f"item vectors must be (N, D) with N, D >= 1, not {vectors.shape}")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(
            f"item vectors: {len(bad)} of {len(vectors)} rows hold NaN or infinity, "
            f"the first is row {bad[0]}; train the model again"
        )
    return vectors


def _entry_points(
    vectors: NDArray[np.float32], settings: BuildSettings, seed: int
) -> NDArray[np.int32]:
    wanted = min(settings.n_entry_points or default_entry_points(len(vectors)), len(vectors))
    if wanted == len(vectors):
        return np.arange(wanted, dtype=np.int32)
    return medoids(
        vectors,
        wanted,
        iterations=settings.kmeans_iterations,
        seed=derive_seed(seed, "graph", "entries"),
    )


def _neighbor_table(
    vectors: NDArray[np.float32],
    settings: BuildSettings,
    seed: int,
    report: BuildProgress,
    work_dir: Path | None,
) -> NDArray[np.int32]:
    if len(vectors) <= settings.max_degree:
        return _complete(len(vectors), settings.max_degree)
    if settings.device is not None:
        return _exact(vectors, settings, settings.device, report)
    return _hnsw_level_0(vectors, settings, seed, report, Halfway(work_dir))


def _exact(
    vectors: NDArray[np.float32], settings: BuildSettings, device: str, report: BuildProgress
) -> NDArray[np.int32]:
    from graph_index.device.neighbors import exact_neighbors
    from graph_index.device.places import open_device

    place, candidates = open_device(device), settings.beam_of_build(len(vectors))
    return exact_neighbors(
        vectors, settings.max_degree, candidates, place, lambda share: report(NEIGHBOURS, share)
    )


def _complete(n_items: int, max_degree: int) -> NDArray[np.int32]:
    """Link every item with every other: fewer items than slots."""
    own = np.arange(n_items, dtype=np.int32)
    table = np.tile(own[:, None], (1, max_degree))
    table[:, :n_items] = own[None, :]
    return table


def _hnsw_level_0(
    vectors: NDArray[np.float32],
    settings: BuildSettings,
    seed: int,
    report: BuildProgress,
    halfway: Halfway,
) -> NDArray[np.int32]:
    import faiss

    draw = cast(Any, faiss).RandomGenerator  # not in faiss's type information
    index: Any = halfway.load(_build_key(vectors, settings, seed))
    if index is None:
        index = faiss.IndexHNSWFlat(vectors.shape[1], -(-settings.max_degree // 2))
    index.hnsw.efConstruction = settings.beam_of_build(len(vectors))
    for start in range(index.ntotal, len(vectors), _ADD_ROWS):
        # one generator per slice: a build that was taken up again draws what it would have drawn
        purpose = ("levels", start) if start else ("levels",)
        index.hnsw.rng = draw(derive_seed(seed, "graph", *purpose) % 2**31)
        index.add(vectors[start : start + _ADD_ROWS])
        report(NEIGHBOURS, min(1.0, (start + _ADD_ROWS) / len(vectors)))
        halfway.keep(index)
    table = _exported(index.hnsw, len(vectors), settings.max_degree)
    halfway.discard()
    return table


def _build_key(vectors: NDArray[np.float32], settings: BuildSettings, seed: int) -> str:
    """Name everything that the long step depends on."""
    said = f"{seed} {settings.max_degree} {settings.beam_of_build(len(vectors))} {vectors.shape}"
    digest = hashlib.sha256(said.encode())
    for start in range(0, len(vectors), _ADD_ROWS):
        digest.update(vectors[start : start + _ADD_ROWS].tobytes())
    return digest.hexdigest()


def _exported(hnsw: Any, n_items: int, max_degree: int) -> NDArray[np.int32]:
    """Copy level 0 out of faiss; its empty slots hold -1 and become the item itself."""
    import faiss

    flat = faiss.vector_to_array(hnsw.neighbors)
    starts = faiss.vector_to_array(hnsw.offsets)[:n_items].astype(np.int64)
    own = np.arange(n_items, dtype=np.int32)[:, None]
    level_0 = min(max_degree, int(faiss.vector_to_array(hnsw.cum_nneighbor_per_level)[1]))
    table = np.empty((n_items, level_0), np.int32)
    for start in range(0, n_items, _ADD_ROWS):
        rows = slice(start, start + _ADD_ROWS)
        found = flat[starts[rows, None] + np.arange(level_0)]
        table[rows] = np.where(found < 0, own[rows], found)
    return table
