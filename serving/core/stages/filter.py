"""Rules that hold for every answer, whichever way its items were found."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine, UserHistories
from vizsla.contracts.api import Notice

__all__ = ["Filter"]


class Filter:
    """Remove excluded items and keep the best ``k``.

    The walk already leaves excluded items out, so that a strict list does not empty
    the answer; here the rule is held for the popular list and any other source too.
    Leaving an excluded item out is never optional, so its fallback is itself.
    """

    name: ClassVar[str] = "filter"
    fallback: ClassVar[str] = "applied_late"
    needs_time = False

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        pass

    def run(self, job: Job, remaining_s: float) -> Job:
        """Apply the rules."""
        pairs = list(zip(job.visitors, job.found, strict=True))
        found = tuple(_keep(one, visitor, job.k) for visitor, one in pairs)
        visitors = tuple(
            _with_notice(visitor, one, job.k)
            for visitor, one in zip(job.visitors, found, strict=True)
        )
        return replace(job, found=found, visitors=visitors)

    def fall_back(self, job: Job) -> Job:
        """Apply the rules though it is late: an excluded item is never an option."""
        return self.run(job, 0.0)


def _keep(found: Found, visitor: Visitor, k: int) -> Found:
    allowed = ~np.isin(found.item_nums, visitor.excluded)
    return replace(found, item_nums=found.item_nums[allowed][:k], scores=found.scores[allowed][:k])


def _with_notice(visitor: Visitor, found: Found, k: int) -> Visitor:
    if len(found.item_nums) >= k:
        return visitor
    detail = f"{len(found.item_nums)} items were found, {k} were asked for"
    notice = Notice(code="too_few_items", detail=detail)
    return replace(visitor, warnings=(*visitor.warnings, notice))
