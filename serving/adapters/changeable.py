"""Which bundles take changes of items."""

from __future__ import annotations

from graph_index.retriever import GraphRetriever
from serving.core.protocols import Engine
from vizsla.contracts.index import UpdatableScorer

__all__ = ["can_change", "why_not"]


def can_change(engine: Engine) -> bool:
    """Return whether a bundle has a graph that can grow, and a scorer that follows."""
    return isinstance(engine.retriever, GraphRetriever) and isinstance(
        engine.scorer, UpdatableScorer
    )


def why_not(engine: Engine) -> str:
    """Say what is missing, and the remedy."""
    if engine.manifest.shards is None:
        return "this bundle cannot take changes of items: it has no graph; run: vizsla index build"
    return (
        "this bundle cannot take changes of items: it is sharded; compact the log into the bundle "
        "it was made from, and run: vizsla index shard"
    )
