"""What most systems run: a two-sided model behind an approximate inner-product index."""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from training.data import Ragged
from training.metrics import hit_matrix
from training.ranking import slice_rows

__all__ = ["TwoSidedFaiss"]

_QUERY_BATCH = 256


class TwoSidedFaiss:
    """Retrieves by inner product with a graph of the item vectors (HNSW).

    Not in ``BASELINES``: it needs a trained model's vectors, not a split.

    Args:
        item_vectors: ``(N, D)`` float32.
        max_degree: HNSW's M; the lowest layer has twice as many neighbours.
        ef_construction: Beam of the build.
        ef_search: Least beam of a search; never less than twice the results asked for.
    """

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        *,
        max_degree: int = 32,
        ef_construction: int = 200,
        ef_search: int = 256,
    ) -> None:
        vectors = np.ascontiguousarray(item_vectors)
        self._index = faiss.IndexHNSWFlat(vectors.shape[1], max_degree, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = ef_construction
        self._index.add(vectors)
        self._ef_search = ef_search

    def top_k(
        self,
        users: NDArray[np.float32],
        k: int,
        seen: Ragged,
        advance: Callable[[int], object] | None = None,
    ) -> NDArray[np.int64]:
        """Return the best unseen items of every user, approximately.

        Asks for as many more results as the user has seen items, and drops those.

        Args:
            users: ``(Q, D)`` float32.
            k: Results wanted.
            seen: Q rows of item numbers to leave out.
            advance: Called with the number of queries done after each batch.

        Returns:
            ``(Q, k)`` int64, best first, padded with -1.
        """
        found = [np.empty((0, k), np.int64)]
        for start in range(0, len(users), _QUERY_BATCH):
            stop = min(start + _QUERY_BATCH, len(users))
            found.append(self._batch(users[start:stop], k, slice_rows(seen, start, stop)))
            if advance is not None:
                advance(stop - start)
        return np.concatenate(found)

    def _batch(self, users: NDArray[np.float32], k: int, seen: Ragged) -> NDArray[np.int64]:
        wanted = min(k + int(seen.lengths.max(initial=0)), self._index.ntotal)
        self._index.hnsw.efSearch = max(self._ef_search, 2 * wanted)
        _, items = self._index.search(np.ascontiguousarray(users), wanted)
        dropped = hit_matrix(items, seen) | (items < 0)
        order = np.argsort(dropped, axis=1, kind="stable")[:, :k]
        kept = np.where(dropped, -1, items)
        best = np.take_along_axis(kept, order, axis=1)
        return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=-1)
