"""Searching, and what stands in for a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving.core.job import Ask, Job
from serving.core.protocols import Engine
from serving.core.stages.features import Features
from serving.core.stages.retrieve import Retrieve
from vizsla.contracts.filters import Filter
from vizsla.contracts.index import (
    MissingShard,
    Mode,
    SearchOptions,
    SearchResult,
    SearchWork,
    StopReason,
)


def resolved(engine: Engine, users: Any, job: Job, *asks: Ask) -> Job:
    return Features(engine, users).run(replace(job, asks=asks), 1.0)


def test_personal_queries_go_in_one_search(engine: Engine, users: Any, job: Job) -> None:
    """All personal queries are searched together, cold ones get the popular list between them."""
    asks = (Ask(history=("f",)), Ask(user_id="nobody"), Ask(history=("e",)))
    done = Retrieve(engine, users).run(resolved(engine, users, job, *asks), 1.0)

    assert [found.item_nums[0] for found in done.found] == [5, 0, 4]
    assert [found.work is None for found in done.found] == [False, True, False]
    ((queries, _),) = engine.retriever.asked
    assert [query.history.tolist() for query in queries] == [[5], [4]]


def test_options_carry_the_request_and_the_settings(engine: Engine, users: Any, job: Job) -> None:
    """The search gets the request's bounds and deadline on top of the configured ones."""
    engine = replace(engine, search=SearchOptions(beam_width=7))
    asked = replace(job, mode=Mode.EXHAUSTIVE, deadline_s=123.0)
    prepared = resolved(engine, users, asked, Ask(user_id="anna", exclude=("c",)))
    Retrieve(engine, users).run(prepared, 1.0)

    ((_, options),) = engine.retriever.asked
    assert (options.k, options.mode, options.beam_width) == (3, Mode.EXHAUSTIVE, 7)
    assert options.deadline_s == 123.0
    assert [excluded.tolist() for excluded in options.excluded] == [[2]]


def test_fallback_is_the_popular_list(engine: Engine, users: Any, job: Job) -> None:
    """The popular list is long enough to lose the excluded items."""
    prepared = resolved(engine, users, job, Ask(user_id="anna", exclude=("a",)))
    (found,) = Retrieve(engine, users).fall_back(prepared).found

    assert found.item_nums.tolist() == [0, 1, 2, 3]
    assert found.scores.tolist() == [60, 50, 40, 30]


RED = Filter.model_validate({"attribute": "colour", "equals": "red"})


def test_filters_reach_the_search_as_bitmaps(engine: Engine, users: Any, job: Job) -> None:
    """Each query brings its bitmap, equal filters the same one, none without filters."""
    ask = Ask(user_id="anna", filters=(RED,))
    prepared = resolved(engine, users, job, ask, Ask(user_id="anna"), ask)
    Retrieve(engine, users).run(prepared, 1.0)

    ((_, options),) = engine.retriever.asked
    assert options.allowed[0].tolist() == [True, False] * 3
    assert options.allowed[1] is None
    assert options.allowed[2] is options.allowed[0]


def test_the_popular_list_is_of_allowed_items(engine: Engine, users: Any, job: Job) -> None:
    """The fallback obeys the filters, and is long enough to lose the excluded items."""
    ask = Ask(user_id="anna", exclude=("a",), filters=(RED,))
    (found,) = Retrieve(engine, users).fall_back(resolved(engine, users, job, ask)).found

    assert found.item_nums.tolist() == [0, 2, 4]


class Partial:
    """A retriever without some of its shards."""

    n_items = 6

    def __init__(self, n_found: int) -> None:
        self.n_found = n_found

    def search(self, scorer: Any, queries: Any, options: Any) -> list[SearchResult]:
        work = SearchWork(Mode.WALK, self.n_found, 1, 0, StopReason.DEADLINE)
        missing = (MissingShard(1, 4, "late"), MissingShard(3, 4, "failed"))
        nums = np.arange(self.n_found)
        found = SearchResult(nums, np.ones(self.n_found, np.float32), work, missing)
        return [found for _ in queries]


@pytest.mark.parametrize(("n_found", "fallback"), [(2, "missing_shards"), (0, "popular_list")])
def test_missing_shards_are_named(
    engine: Engine, users: Any, job: Job, n_found: int, fallback: str
) -> None:
    """One entry says which shards did not answer, and why; without any answer, what stood in."""
    engine = replace(engine, retriever=Partial(n_found))
    prepared = resolved(engine, users, job, Ask(user_id="anna"), Ask(user_id="anna"))
    done = Retrieve(engine, users).run(prepared, 1.0)

    reason = "shard 1 of 4 late, shard 3 of 4 failed"
    assert [(d.fallback, d.reason) for d in done.degraded] == [(fallback, reason)]
    assert done.found[0].item_nums.tolist()[:2] == [0, 1]


class Late:
    """A retriever that was stopped by the deadline after ``n_found`` items."""

    n_items = 6

    def __init__(self, n_found: int) -> None:
        self.n_found = n_found

    def search(self, scorer: Any, queries: Any, options: Any) -> list[SearchResult]:
        work = SearchWork(Mode.WALK, self.n_found, 1, 0, StopReason.DEADLINE)
        nums = np.arange(5, 5 - self.n_found, -1)
        return [SearchResult(nums, np.ones(self.n_found, np.float32), work) for _ in queries]


def test_best_so_far_is_named(engine: Engine, users: Any, job: Job) -> None:
    """A walk that ran out of time answers with what it has, and says so."""
    engine = replace(engine, retriever=Late(2))
    done = Retrieve(engine, users).run(resolved(engine, users, job, Ask(user_id="anna")), 1.0)

    assert done.found[0].item_nums.tolist() == [5, 4]
    assert [(d.fallback, d.reason) for d in done.degraded] == [("best_so_far", "deadline")]


def test_nothing_in_time_is_the_popular_list(engine: Engine, users: Any, job: Job) -> None:
    """A search that found nothing in time is replaced by the popular list, and that is said."""
    engine = replace(engine, retriever=Late(0))
    done = Retrieve(engine, users).run(resolved(engine, users, job, Ask(user_id="anna")), 1.0)

    assert done.found[0].item_nums.tolist() == [0, 1, 2]
    assert [(d.fallback, d.reason) for d in done.degraded] == [("popular_list", "deadline")]
