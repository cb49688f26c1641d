"""The walk, the scan and exhaustive search with all tables resident on a torch device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from graph_index.device.exhaustive import score_exhaustively
from graph_index.device.keys import EMPTY, items_of
from graph_index.device.places import open_device
from graph_index.device.scoring import DeviceScoring
from graph_index.device.tables import DeviceGraph, Masks
from graph_index.device.walk import DeviceWalk
from graph_index.graph import Graph
from graph_index.plan import Plan
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.settings import SearchSettings
from vizsla.clock import Clock
from vizsla.contracts.index import Query, Scorer, SearchOptions, SearchResult
from vizsla.contracts.tables import ItemTables

__all__ = ["TorchDeviceRetriever"]


class TorchDeviceRetriever(GraphRetriever):
    """Answers as ``GraphRetriever`` does, on a device; asks a ``DeviceScorer``.

    The graph is put on the device when the retriever opens, the scorer's tables and weights at the first search.
    Seeds always come from an exact scan of the proxy, and every neighbour is scored: of the search
    settings ``seed_search``, ``proxy_scan_below`` and ``keep_percent`` mean nothing here.

    Args:
        graph: The graph over N items.
        item_vectors: ``(N, D)`` float32; not put on the device, the scorer has its own.
        settings: Defaults of a search; None for the measured ones.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        clock: For deadlines and times; None for the machine's.

    Raises:
        UsageError: There is no such device.
        ContractError: Graph and vectors have different numbers of items.
    """

    def __init__(
        self,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        device: str = "cpu",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(graph, item_vectors, settings, clock=clock)
        self.device = open_device(device)
        self._on_device = DeviceGraph(graph, self.device)

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        clock: Clock | None = None,
        tables: ItemTables | None = None,
        device: str = "cpu",
    ) -> TorchDeviceRetriever:
        """Open the backend, as every entry of ``BACKENDS`` can be opened, on a device."""
        return cls(graph, item_vectors, settings, clock=clock, device=device)

    def over(self, graph: Graph, item_vectors: NDArray[np.float32]) -> TorchDeviceRetriever:
        """Return a retriever over another state of the catalogue; it puts that graph on the device."""
        return type(self)(
            graph, item_vectors, self.settings, clock=self._clock, device=str(self.device)
        )

    @property
    def index_bytes(self) -> int:
        """Memory of the graph on the device."""
        arrays = (self.graph.neighbors, self.graph.entry_points, self.graph.alive)
        return sum(array.nbytes for array in arrays)

    @torch.inference_mode()
    def search(
        self, scorer: Scorer, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        """Answer B queries; see ``GraphRetriever.search``.

        Raises:
            UsageError: The scorer cannot be asked on a device.
            ContractError: An option is out of range, or the scorer broke its contract.
        """
        return super().search(scorer, queries, options)

    def _answer(
        self,
        scorer: Scorer,
        queries: Sequence[Query],
        plan: Plan,
        returnable: Returnable,
        *,
        walking: bool,
    ) -> list[SearchResult]:
        scoring = DeviceScoring(scorer, queries, self._clock, self.n_items, self.device)
        masks = Masks(self._on_device, returnable)
        if not walking:
            chunk = self.settings.chunk_items
            return score_exhaustively(scoring, masks, returnable.counts, plan, chunk)
        walk = DeviceWalk(self._on_device, scoring, plan, masks, returnable.counts)
        return walk.run(self._seeds(scoring, plan, masks))

    def _seeds(self, scoring: DeviceScoring, plan: Plan, masks: Masks) -> torch.Tensor | None:
        """Return ``(B, C)`` items of the largest proxy scores, N for none; None without a proxy."""
        if not plan.proxy_seeds:
            return None
        width = min(plan.proxy_seeds, plan.max_scored)
        keys = scoring.proxy_best(masks.returnable, width)
        if keys is None:
            return None
        seeds = items_of(keys).masked_fill(keys == EMPTY, self.n_items)
        if not plan.use_entry_points:
            return seeds
        entries = self._on_device.entry_points.expand(len(seeds), -1)
        return torch.cat([seeds, entries], dim=1)
