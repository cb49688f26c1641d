"""A rival of the walk: scan the scorer's own dot product, score the best, stop."""

from __future__ import annotations

from typing import ClassVar

from graph_index.candidates import SourceKind
from graph_index.rivals import RescoringRetriever

__all__ = ["ProxyScanRetriever"]


class ProxyScanRetriever(RescoringRetriever):
    """The ``proxy_seeds`` items with the largest dot product, scored by the scorer.

    The scan is exact and in float32, so what is lost is what the dot product misses.
    """

    source_kind: ClassVar[SourceKind] = 0
