"""Exact nearest rows by squared Euclidean distance, and k-means medoids, through faiss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

__all__ = ["faiss_threads", "medoids", "nearest_rows"]

_LARGEST_FAISS_SEED = 2**31 - 1
_POINTS_PER_CENTROID = 64
"""More of them move no centroid far, and k-means takes time in proportion."""


@contextmanager
def faiss_threads(n_threads: int) -> Iterator[None]:
    """Run faiss with so many threads; its setting is global and is put back."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def nearest_rows(
    table: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the ``min(k, R)`` nearest of R table rows for each query, nearest first.

    Example:
        >>> rows, distances = nearest_rows(
        ...     np.array([[0.0], [2.0], [9.0]], np.float32), np.array([[3.0]], np.float32), k=2
        ... )
        >>> rows.tolist(), distances.tolist()
        ([[1, 0]], [[1.0, 9.0]])
    """
    import faiss

    index = faiss.IndexFlatL2(table.shape[1])
    index.add(table)
    distances, rows = index.search(queries, min(k, len(table)))
    return np.asarray(rows, np.int64), np.asarray(distances, np.float32)


def medoids(
    item_vectors: NDArray[np.float32], n_clusters: int, *, iterations: int, seed: int
) -> NDArray[np.int32]:
    """Choose at most ``n_clusters`` items that cover the vectors: k-means medoids.

    Returns:
        ``(E,)`` int32, distinct, ascending; the items nearest to the centroids, fewer
        than asked where several centroids share one.
    """
    import faiss

    kmeans = faiss.Kmeans(
        item_vectors.shape[1],
        n_clusters,
        niter=iterations,
        seed=seed % _LARGEST_FAISS_SEED,
        min_points_per_centroid=1,  # or it prints a warning about small corpora
        max_points_per_centroid=_POINTS_PER_CENTROID,
    )
    kmeans.train(item_vectors)
    centroids = np.nan_to_num(np.asarray(kmeans.centroids, np.float32))
    rows, _ = nearest_rows(item_vectors, centroids, 1)
    return np.unique(rows).astype(np.int32)
