"""Search the catalogue under the deep matching function."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine, UserHistories
from vizsla.contracts.api import Degradation
from vizsla.contracts.index import MissingShard, SearchResult, StopReason

__all__ = ["Retrieve"]


class Retrieve:
    """One search for all personal queries of the request; the others get the popular list.

    A search that runs out of time answers with its best so far and says so.
    """

    name: ClassVar[str] = "retrieve"
    fallback: ClassVar[str] = "popular_list"
    needs_time = True

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        self._engine = engine

    def run(self, job: Job, remaining_s: float) -> Job:
        """Search until the deadline at most."""
        personal = [visitor for visitor in job.visitors if _is_searched(visitor)]
        results = self._search(job, personal)
        answers = iter(results)
        found = tuple(
            self._found(next(answers), job, visitor)
            if _is_searched(visitor)
            else self._popular(job, visitor)
            for visitor in job.visitors
        )
        return replace(job, found=found, degraded=(*job.degraded, *_cut_short(results)))

    def fall_back(self, job: Job) -> Job:
        """Answer every query with the most popular items."""
        return replace(job, found=tuple(self._popular(job, visitor) for visitor in job.visitors))

    def _search(self, job: Job, visitors: list[Visitor]) -> list[SearchResult]:
        if not visitors:
            return []
        options = replace(
            self._engine.search,
            k=job.n_wanted,
            mode=job.mode,
            deadline_s=job.deadline_s,
            excluded=tuple(visitor.excluded for visitor in visitors),
            allowed=tuple(visitor.allowed for visitor in visitors),
        )
        queries = [visitor.query for visitor in visitors]
        return self._engine.retriever.search(self._engine.scorer, queries, options)

    def _found(self, result: SearchResult, job: Job, visitor: Visitor) -> Found:
        if _nothing_in_time(result):
            return replace(self._popular(job, visitor), work=result.work)
        return Found(result.item_nums, result.scores, result.work)

    def _popular(self, job: Job, visitor: Visitor) -> Found:
        catalogue = self._engine.catalogue
        nums = catalogue.popular(job.n_wanted + len(visitor.excluded), visitor.allowed)
        return Found(nums, catalogue.n_interactions(nums).astype(np.float32))


def _is_searched(visitor: Visitor) -> bool:
    return visitor.cold is None or visitor.cold.source == "context"


def _nothing_in_time(result: SearchResult) -> bool:
    nobody_answered = result.work.stopped_by == StopReason.DEADLINE or bool(result.missing)
    return nobody_answered and not len(result.item_nums)


def _cut_short(results: list[SearchResult]) -> list[Degradation]:
    """Name once what stood in for the searches that the deadline or a missing shard ended."""
    late = [result for result in results if result.work.stopped_by == StopReason.DEADLINE]
    whole = [result for result in late if not result.missing]
    names = {"popular_list" if _nothing_in_time(result) else "best_so_far" for result in whole}
    degraded = [
        Degradation(stage="retrieve", fallback=name, reason="deadline") for name in sorted(names)
    ]
    missing = {one for result in results for one in result.missing}
    if missing:
        reason = ", ".join(_said(one) for one in sorted(missing, key=lambda one: one.shard))
        nothing = any(result.missing and _nothing_in_time(result) for result in results)
        fallback = "popular_list" if nothing else "missing_shards"
        degraded.append(Degradation(stage="retrieve", fallback=fallback, reason=reason))
    return degraded


def _said(missing: MissingShard) -> str:
    return f"shard {missing.shard} of {missing.n_shards} {missing.reason}"
