"""Order what was found by the bundle's ranker."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine, UserHistories
from serving.core.ranking import Candidate, Exploration, unread_notices

__all__ = ["Rank"]


class Rank:
    """Rank with the bundle's ranker; without one the order of retrieval stands.

    The ranker is given more items than were asked for, and the best of them are kept.
    """

    name: ClassVar[str] = "rank"
    fallback: ClassVar[str] = "retrieval_order"

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        self._ranker = engine.ranker
        self._items = engine.catalogue.vocabulary
        self.needs_time = engine.ranker is not None

    def run(self, job: Job, remaining_s: float) -> Job:
        """Score the found items with the ranker and sort by it, ties by retrieval order."""
        if self._ranker is None:
            return self.fall_back(job)
        pairs = [
            self._ranked(visitor, one, remaining_s, job.explore)
            for visitor, one in zip(job.visitors, job.found, strict=True)
        ]
        visitors = tuple(visitor for visitor, _ in pairs)
        found = tuple(_cut(one, job.k) for _, one in pairs)
        return replace(job, visitors=visitors, found=found, ranked_by="ranker")

    def fall_back(self, job: Job) -> Job:
        """Keep the order of retrieval."""
        return replace(job, found=tuple(_cut(one, job.k) for one in job.found))

    def _ranked(
        self, visitor: Visitor, found: Found, remaining_s: float, explore: Exploration | None
    ) -> tuple[Visitor, Found]:
        assert self._ranker is not None
        candidates = [Candidate(item_id) for item_id in self._items.ids(found.item_nums.tolist())]
        ranked = self._ranker.rank(visitor.profile, candidates, remaining_s, explore)
        order = np.argsort(-ranked.ordering, kind="stable")
        warnings = (*visitor.warnings, *unread_notices(ranked))
        return replace(visitor, warnings=warnings), replace(
            found,
            item_nums=found.item_nums[order],
            scores=ranked.ordering_pctr[order].astype(np.float32),
            pctr=ranked.pctr[order],
            logit_std=None if ranked.explored is None else ranked.explored.std[order],
        )


def _cut(found: Found, k: int) -> Found:
    return replace(
        found,
        item_nums=found.item_nums[:k],
        scores=found.scores[:k],
        pctr=None if found.pctr is None else found.pctr[:k],
        logit_std=None if found.logit_std is None else found.logit_std[:k],
    )
