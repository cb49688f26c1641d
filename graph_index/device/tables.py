"""A graph and a batch's masks as tensors of one device.

Shapes: **B** queries, **E** entry points, **M** degree, **N** items.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph_index.graph import Graph
from graph_index.returnable import Returnable

__all__ = ["DeviceGraph", "Masks", "resident"]


def resident(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor of a device; on the processor it shares the array's memory."""
    with warnings.catch_warnings():
        # torch cannot mark a tensor read-only, and warns; nothing here writes
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(array).to(device)


class DeviceGraph:
    """The graph's arrays.

    Attributes:
        neighbors: ``(N, M)`` int32.
        entry_points: ``(E,)`` int64.
        alive: ``(N,)`` bool.
    """

    def __init__(self, graph: Graph, device: torch.device) -> None:
        self.device = device
        self.n_items = graph.n_items
        self.neighbors = resident(graph.neighbors, device)
        self.entry_points = resident(graph.entry_points, device).long()
        self.alive = resident(graph.alive, device)

    def around(self, item_nums: Tensor) -> Tensor:
        """Return ``(B, C * M)`` int64 neighbours of ``(B, C)`` items, N for those of N, no item."""
        rows = self.neighbors[item_nums.clamp(max=self.n_items - 1)].long()
        rows = rows.masked_fill((item_nums == self.n_items).unsqueeze(-1), self.n_items)
        return rows.flatten(1)


class Masks:
    """What of the catalogue each query of a batch may be given; column N stands for no item.

    Attributes:
        within: ``(B, N + 1)`` bool, alive and allowed by the filter.
        returnable: ``(B, N + 1)`` bool, within and not excluded.
        filtered: ``(B, 1)`` bool, whether the query has a filter.
        any_filtered: Whether some query has.
    """

    def __init__(self, graph: DeviceGraph, returnable: Returnable) -> None:
        n_queries = len(returnable.counts)
        self.within = torch.zeros(
            (n_queries, graph.n_items + 1), dtype=torch.bool, device=graph.device
        )
        self.within[:, :-1] = graph.alive
        for query in np.flatnonzero(returnable.filtered).tolist():
            self.within[query, :-1] = resident(returnable.within(query), graph.device)
        self.returnable = self._without(returnable.excluded)
        self.filtered = resident(returnable.filtered, graph.device)[:, None]
        self.any_filtered = bool(returnable.filtered.any())

    def _without(self, excluded: list[NDArray[np.int64]]) -> Tensor:
        lengths = [len(items) for items in excluded]
        if not sum(lengths):
            return self.within
        query_of = torch.from_numpy(np.repeat(np.arange(len(excluded)), lengths))
        item_nums = torch.from_numpy(np.concatenate(excluded))
        left = self.within.clone()
        left[query_of.to(left.device), item_nums.to(left.device)] = False
        return left
