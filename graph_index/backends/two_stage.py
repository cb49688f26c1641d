"""A rival of the walk: what most systems run, a two-sided model behind HNSW, then the deep score."""

from __future__ import annotations

from typing import ClassVar

from graph_index.candidates import SourceKind
from graph_index.rivals import RescoringRetriever

__all__ = ["TwoStageRetriever"]


class TwoStageRetriever(RescoringRetriever):
    """The ``proxy_seeds`` items that an HNSW index finds by the scorer's dot product, scored.

    ``seed_effort`` (``beam_width`` where it is 0) is HNSW's ``ef_search``; it counts where it is
    above ``proxy_seeds``.
    """

    source_kind: ClassVar[SourceKind] = 2
