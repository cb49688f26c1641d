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
    """Remove what is excluded or fails the request's filters, and keep the best ``k``.

    The walk already leaves such items out, so that a strict rule does not empty
    the answer; here the rules are held for the popular list and any other source too.
    They are never optional, so the fallback is the stage itself.
    """

    name: ClassVar[str] = "filter"
    fallback: ClassVar[str] = "applied_late"
    needs_time = False

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        pass

    def run(self, job: Job, remaining_s: float) -> Job:
        """Apply the rules."""
        pairs = list(zip(job.visitors, job.found, strict=True))
        found = tuple(_keep(one, visitor, job.n_wanted) for visitor, one in pairs)
        visitors = tuple(
            _with_notice(visitor, one, job.k)
            for visitor, one in zip(job.visitors, found, strict=True)
        )
        return replace(job, found=found, visitors=visitors)

    def fall_back(self, job: Job) -> Job:
        """Apply the rules though it is late: an item against them is never an option."""
        return self.run(job, 0.0)


def _keep(found: Found, visitor: Visitor, k: int) -> Found:
    allowed = ~np.isin(found.item_nums, visitor.excluded)
    if visitor.allowed is not None:
        allowed &= visitor.allowed[found.item_nums]
    return replace(found, item_nums=found.item_nums[allowed][:k], scores=found.scores[allowed][:k])


def _with_notice(visitor: Visitor, found: Found, k: int) -> Visitor:
    if len(found.item_nums) >= k:
        return visitor
    detail = f"{len(found.item_nums)} items were found, {k} were asked for"
    if visitor.allowed is not None:
        detail += f"; the filters allow {np.count_nonzero(visitor.allowed)} items"
    notice = Notice(code="too_few_items", detail=detail)
    return replace(visitor, warnings=(*visitor.warnings, notice))
