"""A rival of the walk: ``proxy_scan`` over item vectors of one byte per entry."""

from __future__ import annotations

from typing import ClassVar

from graph_index.candidates import SourceKind
from graph_index.rivals import RescoringRetriever

__all__ = ["ProxyScanInt8Retriever"]


class ProxyScanInt8Retriever(RescoringRetriever):
    """``proxy_scan`` that reads a quarter of the bytes; the scores returned stay exact."""

    source_kind: ClassVar[SourceKind] = 1
