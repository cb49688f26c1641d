"""A control of the pruned walk: neighbours are guessed by the scorer's own derivative (GUITAR)."""

from __future__ import annotations

from collections.abc import Callable

from graph_index.retriever import GraphRetriever
from graph_index.walk import BeamWalk

__all__ = ["GradientRetriever"]


class GradientRetriever(GraphRetriever):
    """``graph`` that keeps ``keep_percent`` of the neighbours by gradient instead of by proxy.

    A derivative per expanded item costs more than the scores it saves where a dot product
    guesses as well; it needs no dot product, though. Without a ``GradientScorer`` nothing is pruned.
    """

    @property
    def walk_class(self) -> Callable[..., BeamWalk]:
        """The loop that moves on the graph."""
        return self._pruned(by_gradient=True)
