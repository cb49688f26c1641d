"""Cheap ways to choose which items deserve a deep score.

Each walks or scans something that knows the scorer only through its proxy (or not at
all).  The walk starts from what they find; the rivals of the walk score it and stop.
Shapes: **B** queries, **D** vector size, **N** items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.selection import largest

__all__ = [
    "CandidateSource",
    "FixedOrder",
    "FloatScan",
    "HnswSearch",
    "Int8Scan",
    "SourceKind",
    "open_source",
]

HNSW_DEGREE = 16
HNSW_EF_CONSTRUCTION = 200
_LEVELS = 127
_NONE = np.empty(0, np.int64)

_FAISS: Any = faiss
"""Its stubs do not know what its Python layer adds."""

SourceKind = int
"""``SearchSettings.seed_search``: 0 scans float32, 1 scans int8, 2 asks an HNSW index."""


class CandidateSource(Protocol):
    """Chooses items per query; never one that may not be returned."""

    @property
    def n_bytes(self) -> int:
        """Memory it needs besides the item vectors."""
        ...

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return at most ``width`` distinct items per query, in no order.

        Args:
            scoring: The batch of B queries, with its proxy.
            width: Items wanted per query.
            returnable: What may be chosen.
            effort: How hard an approximate source searches, ``ef_search``; at least ``width``
                counts.

        Returns:
            B arrays of item numbers, empty for queries that the deadline left no time for; None
            where the scorer has no proxy to search with.
        """
        ...


class FloatScan:
    """Exact: one dot product per item, in float32.

    Queries are multiplied one by one: the result then does not depend on the batch, and up to
    100,000 items it is faster than one product for all.

    Args:
        item_vectors: ``(N, D)`` float32.
    """

    def __init__(self, item_vectors: NDArray[np.float32]) -> None:
        self._vectors = item_vectors
        self.n_bytes = 0

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return exactly the best by the proxy; see ``CandidateSource``."""
        users = scoring.proxy_vectors(self._vectors.shape[1])
        if users is None:
            return None
        with scoring.seeding():
            scoring.n_proxy_scored = len(self._vectors)
            return [
                _NONE if scoring.overdue else self._of_user(users, row, width, returnable)
                for row in range(len(users))
            ]

    def _of_user(
        self, users: NDArray[np.float32], row: int, width: int, returnable: Returnable
    ) -> NDArray[np.int64]:
        scores = self._vectors @ users[row]
        returnable.hide(row, scores)
        found = largest(scores, width)
        kept: NDArray[np.int64] = found[scores[found] > -np.inf]
        return kept


class _FaissSource(ABC):
    """Asks a faiss index, one query at a time, with a selector where something is hidden."""

    index: Any

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return what the index finds by the proxy; see ``CandidateSource``."""
        users = scoring.proxy_vectors(self.index.d)
        if users is None:
            return None
        with scoring.seeding():
            before = self._n_products()
            found = [
                _NONE
                if scoring.overdue
                else self._of_user(users[row : row + 1], width, returnable.mask(row), effort)
                for row in range(len(users))
            ]
            scoring.n_proxy_scored = (self._n_products() - before) // max(1, len(users))
            return found

    def _of_user(
        self, user: NDArray[np.float32], width: int, mask: NDArray[np.bool_] | None, effort: int
    ) -> NDArray[np.int64]:
        selector = None if mask is None else _selector(mask)
        _, items = self.index.search(
            np.ascontiguousarray(self.asked(user)),
            min(width, self.index.ntotal),
            params=self._parameters(selector, max(effort, width)),
        )
        found: NDArray[np.int64] = items[0][items[0] >= 0]
        return found

    def asked(self, user: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the ``(1, D)`` query as the index wants it."""
        return user

    @abstractmethod
    def _parameters(self, selector: Any, effort: int) -> Any:
        """Return what faiss searches with."""

    @abstractmethod
    def _n_products(self) -> int:
        """Return how many dot products were counted so far."""


class Int8Scan(_FaissSource):
    """Exact scan over item vectors rounded to int8, with the query rounded to int8 too.

    One scale for the whole table: entries are rounded to multiples of ``step = max|v| / 127``, a
    query's to multiples of its own ``max|q| / 127``, and their products are exact integers.
    A product is off by at most ``step / 2 * sum|q| + query_step / 2 * sum|rounded v|``.

    Args:
        item_vectors: ``(N, D)`` float32.

    Attributes:
        step: What one unit of int8 stands for.
    """

    def __init__(self, item_vectors: NDArray[np.float32]) -> None:
        self.step = _step(item_vectors)
        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        self.index = _FAISS.IndexScalarQuantizer(
            item_vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT
        )
        # faiss truncates what it is given, items and queries, to whole numbers
        self.index.add(np.rint(item_vectors / self.step))

    @property
    def n_bytes(self) -> int:
        """One byte per entry."""
        return int(self.index.ntotal * self.index.d)

    def asked(self, user: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a ``(1, D)`` query in whole numbers from -127 to 127."""
        whole: NDArray[np.float32] = np.rint(user / np.float32(_step(user)))
        return whole

    def _parameters(self, selector: Any, effort: int) -> Any:
        return None if selector is None else _FAISS.SearchParameters(sel=selector)

    def _n_products(self) -> int:
        return 0


class HnswSearch(_FaissSource):
    """Approximate: an HNSW index over the item vectors by inner product, as most systems run it.

    Built when opened, by one thread.

    Args:
        item_vectors: ``(N, D)`` float32.
    """

    def __init__(self, item_vectors: NDArray[np.float32]) -> None:
        self.index = _FAISS.IndexHNSWFlat(
            item_vectors.shape[1], HNSW_DEGREE, faiss.METRIC_INNER_PRODUCT
        )
        self.index.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
        self.index.add(np.ascontiguousarray(item_vectors))

    @property
    def n_bytes(self) -> int:
        """Links and its own copy of the vectors."""
        links = self.index.hnsw.neighbors.size() * 4 + self.index.hnsw.offsets.size() * 8
        return int(links + self.index.ntotal * self.index.d * 4)

    def _parameters(self, selector: Any, effort: int) -> Any:
        return _FAISS.SearchParametersHNSW(efSearch=effort, sel=selector)

    def _n_products(self) -> int:
        # counted over the whole process: exact while one thread searches
        return int(_FAISS.cvar.hnsw_stats.ndis)


class FixedOrder:
    """The first items of one order, the same for every query: a control that knows no user.

    Args:
        order: ``(N,)`` int64 item numbers, most wanted first.
    """

    def __init__(self, order: NDArray[np.int64]) -> None:
        self._order = order
        self.n_bytes = int(order.nbytes)

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return the first items that may be returned; see ``CandidateSource``."""
        return [self._first(width, returnable.mask(row)) for row in range(len(returnable.counts))]

    def _first(self, width: int, mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        return self._order[:width] if mask is None else self._order[mask[self._order]][:width]


def _selector(mask: NDArray[np.bool_]) -> Any:
    return _FAISS.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _step(vectors: NDArray[np.float32]) -> float:
    """Return what one of 127 levels stands for; above zero for vectors of zeros."""
    peak = float(np.abs(vectors).max(initial=0.0))
    return max(peak / _LEVELS, float(np.finfo(np.float32).tiny))


def open_source(kind: SourceKind, item_vectors: NDArray[np.float32]) -> CandidateSource:
    """Open the source that ``SearchSettings.seed_search`` names."""
    sources = (FloatScan, Int8Scan, HnswSearch)
    return sources[kind](item_vectors)
