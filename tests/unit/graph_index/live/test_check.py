"""The checker of a changing graph names what is wrong, and only that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graph_index.build import build_graph
from graph_index.graph import Graph
from graph_index.live.check import LiveState, live_problems
from graph_index.live.graph import LiveGraph

LINE = np.arange(12, dtype=np.float32)[:, None]


@pytest.fixture
def state() -> LiveState:
    """Twelve items on a line, one of them removed and healed, one removed only, one paused."""
    live = LiveGraph(build_graph(LINE), LINE)
    live.remove(np.array([3]))
    live.heal()
    live.remove(np.array([7]))
    live.set_active(np.array([5]), active=False)
    live.publish()
    return live.state()


def with_row(state: LiveState, place: int, row: list[int]) -> LiveState:
    neighbors = state.graph.neighbors.copy()
    neighbors[place] = place
    neighbors[place, : len(row)] = row
    return replace(state, graph=replace(state.graph, neighbors=neighbors))


def test_removed_and_paused_items_are_no_errors(state: LiveState) -> None:
    """A graph on which everything happened that may happen is sound."""
    assert live_problems(state) == []


@pytest.mark.parametrize(
    ("place", "row", "problem"),
    [
        (2, [1, 3], "1 rows lead to a place that holds no item, the first is at place 2"),
        (2, [1, 1], "1 rows name a neighbour twice, the first is at place 2"),
        (2, [1, 99], "neighbors: item numbers 0 to 99 are not within 0 to 11"),
    ],
)
def test_a_wrong_row_is_named(state: LiveState, place: int, row: list[int], problem: str) -> None:
    """A row to an empty place, a row with a repetition, a number out of range."""
    assert problem in live_problems(with_row(state, place, row))


def test_an_item_that_is_cut_off_is_named(state: LiveState) -> None:
    """Without any way in, an item is lost to walks; a removed one is not missed."""
    graph = state.graph
    alone = np.repeat(np.arange(12, dtype=np.int32)[:, None], graph.max_degree, axis=1)
    alone = Graph(alone, np.array([0], np.int32), graph.alive)

    (problem,) = live_problems(replace(state, graph=alone))

    assert problem.startswith("9 of 10 items cannot be reached")


def test_what_may_not_be_returned_is_named(state: LiveState) -> None:
    """An item outside the catalogue that is alive, an entry without an item, a vector with NaN."""
    graph = Graph(state.graph.neighbors, np.array([3, 0], np.int32), np.ones(12, np.bool_))
    vectors = LINE.copy()
    vectors[4] = np.nan
    found = live_problems(replace(state, graph=graph, item_vectors=vectors))

    assert found == [
        "1 entry points hold no item, the first is at place 3",
        "2 items are returned that are not in the catalogue, the first is at place 3",
        "1 vectors have NaN or infinity, the first is at place 4",
    ]
