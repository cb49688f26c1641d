"""The walk as a backend; it lives in ``graph_index.retriever``."""

from __future__ import annotations

from graph_index.retriever import GraphRetriever

__all__ = ["GraphRetriever"]
