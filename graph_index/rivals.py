"""The base of the walk's rivals: choose candidates cheaply, score them, stop."""

from __future__ import annotations

from typing import ClassVar

from graph_index.candidates import CandidateSource, SourceKind, open_source
from graph_index.plan import Plan
from graph_index.rescore import rescore
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from vizsla.contracts.index import SearchResult, StopReason

__all__ = ["RescoringRetriever"]


class RescoringRetriever(GraphRetriever):
    """Scores ``proxy_seeds`` candidates (at least ``k``) of a source and returns the best.

    Of the graph it uses the alive mask alone.  A query whose source finds too few, and every
    query of a scorer without a proxy, is scored exhaustively.
    """

    source_kind: ClassVar[SourceKind] = 0

    def _open_source(self) -> CandidateSource:
        return open_source(self.source_kind, self._item_vectors)

    @property
    def index_bytes(self) -> int:
        """Memory of the source."""
        return self.source.n_bytes

    def _walk(self, scoring: Scoring, plan: Plan, returnable: Returnable) -> list[SearchResult]:
        width = min(max(plan.proxy_seeds, plan.k), plan.max_scored)
        found = self.source.best(scoring, width, returnable, plan.seed_effort)
        if found is None:
            return self._score_all(scoring, plan, returnable)
        counts = returnable.counts.tolist()
        filled = [
            items
            if len(items) >= min(width, counts[row])
            else returnable.items(row)[: plan.max_scored]
            for row, items in enumerate(found)
        ]
        reasons = [_reason(len(items), n) for items, n in zip(filled, counts, strict=True)]
        return rescore(scoring, filled, plan, reasons)


def _reason(n_scored: int, n_allowed: int) -> StopReason:
    """The number of candidates is the budget of a rescoring search."""
    return StopReason.BUDGET if n_scored < n_allowed else StopReason.COMPLETE
