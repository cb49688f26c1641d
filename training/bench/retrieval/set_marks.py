"""The walk with set operations where it has an array of marks: what those cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.retriever import GraphRetriever
from graph_index.workspace import ThreadWorkspaces, Workspace

__all__ = ["SetMarksRetriever"]


class SetMarksRetriever(GraphRetriever):
    """``graph`` that remembers visited items as a sorted array of keys.

    Args:
        arguments: Of ``GraphRetriever``.
        named: The same.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._workspaces = _SetWorkspaces()


class _SetMarks(Workspace):
    """Visited cells as a set: sorted, searched and merged anew in every round."""

    def begin(self, n_cells: int) -> None:
        """Start a search: nothing is visited."""
        super().begin(n_cells)
        self._visited = np.empty(0, np.int64)

    def claim(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the keys that were not visited, each once, ascending."""
        new = np.setdiff1d(keys, self._visited)
        self._visited = np.union1d(self._visited, new)
        return new


class _SetWorkspaces(ThreadWorkspaces):
    def __init__(self) -> None:
        super().__init__()
        self.own = _SetMarks()
