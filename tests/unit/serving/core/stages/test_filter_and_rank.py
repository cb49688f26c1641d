"""Rules and order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine
from serving.core.stages.filter import Filter
from serving.core.stages.rank import Rank
from vizsla.contracts.index import Mode, Query

NOBODY = Query(np.empty(0, np.int64))


def with_found(nums: list[int], excluded: list[int], k: int) -> Job:
    visitor = Visitor(NOBODY, np.array(sorted(excluded), np.int64))
    found = Found(np.array(nums, np.int64), -np.arange(len(nums), dtype=np.float32))
    return Job((), k, Mode.AUTO, False, 1e9, visitors=(visitor,), found=(found,))


def kept(nums: list[int], excluded: list[int], k: int) -> tuple[list[int], list[str]]:
    stage = Filter(None, None)  # type: ignore[arg-type]
    done = stage.run(with_found(nums, excluded, k), 1.0)
    return done.found[0].item_nums.tolist(), [w.code for w in done.visitors[0].warnings]


def test_excluded_items_go_and_k_stay() -> None:
    """The best k of the allowed items stay, in order."""
    assert kept([4, 2, 9, 7], [2, 5], 2) == ([4, 9], [])


def test_filtered_items_go() -> None:
    """What the request's filters do not allow is no answer either, wherever it came from."""
    job = with_found([0, 1, 2, 3], [0], 3)
    visitor = replace(job.visitors[0], allowed=np.array([True, False, True, True]))
    done = Filter(None, None).run(replace(job, visitors=(visitor,)), 1.0)  # type: ignore[arg-type]

    assert done.found[0].item_nums.tolist() == [2, 3]
    assert done.visitors[0].warnings[0].detail.endswith("; the filters allow 3 items")


def test_too_few_is_said() -> None:
    """Fewer items than asked for come with a warning."""
    assert kept([4, 2], [2], 2) == ([4], ["too_few_items"])


@given(st.lists(st.integers(0, 20), unique=True), st.sets(st.integers(0, 20)), st.integers(1, 25))
def test_never_an_excluded_item(nums: list[int], excluded: set[int], k: int) -> None:
    """Whatever was found, the answer is the first k allowed items in their order."""
    assert kept(nums, list(excluded), k)[0] == [num for num in nums if num not in excluded][:k]


class ByNumber:
    """A ranker that likes large item numbers."""

    def rank(
        self, query: Query, item_nums: NDArray[np.int64], remaining_s: float
    ) -> NDArray[np.float32]:
        return item_nums.astype(np.float32)


def test_ranker_decides_the_order(engine: Engine, users: Any) -> None:
    """With a ranker its scores order the items."""
    stage = Rank(replace(engine, ranker=ByNumber()), users)
    done = stage.run(with_found([2, 5, 3], [], 3), 1.0)

    assert done.found[0].item_nums.tolist() == [5, 3, 2]
    assert done.found[0].scores.tolist() == [5, 3, 2]
    assert done.ranked_by == "ranker"
    assert stage.needs_time


def test_without_ranker_retrieval_order_stands(engine: Engine, users: Any) -> None:
    """A bundle without ranker keeps the matcher's order, which is no degradation."""
    stage = Rank(engine, users)
    done = stage.run(with_found([2, 5, 3], [], 3), 1.0)

    assert done.found[0].item_nums.tolist() == [2, 5, 3]
    assert (done.ranked_by, stage.needs_time) == ("retrieval", False)
