"""Order what was found by the bundle's ranker."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine, Ranker, UserHistories

__all__ = ["Rank"]


class Rank:
    """Rank with the bundle's ranker; without one the order of retrieval stands."""

    name: ClassVar[str] = "rank"
    fallback: ClassVar[str] = "retrieval_order"

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        self._ranker = engine.ranker
        self.needs_time = engine.ranker is not None

    def run(self, job: Job, remaining_s: float) -> Job:
        """Score the found items with the ranker and sort by it, ties by retrieval order."""
        if self._ranker is None:
            return job
        found = tuple(
            _ranked(self._ranker, visitor, one, remaining_s)
            for visitor, one in zip(job.visitors, job.found, strict=True)
        )
        return replace(job, found=found, ranked_by="ranker")

    def fall_back(self, job: Job) -> Job:
        """Keep the order of retrieval."""
        return job


def _ranked(ranker: Ranker, visitor: Visitor, found: Found, remaining_s: float) -> Found:
    scores = ranker.rank(visitor.query, found.item_nums, remaining_s)
    order = np.argsort(-scores, kind="stable")
    return replace(found, item_nums=found.item_nums[order], scores=scores[order])
