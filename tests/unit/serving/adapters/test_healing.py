"""Passes over the whole graph are few, and changes do not wait for them."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index.build import BuildSettings, build_graph
from graph_index.live.graph import LiveGraph
from serving.adapters.healing import HealingSchedule
from vizsla.clock import FakeClock
from vizsla.rng import numpy_generator

VECTORS = numpy_generator(0, "healing").normal(size=(300, 4)).astype(np.float32)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=6, n_entry_points=3))


@pytest.fixture
def live():
    return LiveGraph(GRAPH, VECTORS)


def test_a_pass_waits_for_many_removed_items_or_for_some_time(live):
    """One pass for 64 items, one for the few that are left, and none in between."""
    clock = FakeClock(0.0)
    schedule = HealingSchedule(clock, 5.0)
    passes = []

    def tend():
        if schedule.is_due(live):
            schedule.note(live.heal())
            live.publish()
            passes.append(live.n_unhealed)

    for num in range(70):
        live.remove(np.array([num]))
        live.publish()
        tend()
    assert passes == [0]
    assert live.n_unhealed == 6
    clock.advance(4.9)
    tend()
    assert passes == [0]
    clock.advance(0.2)
    tend()
    tend()
    assert passes == [0, 0]


def test_items_that_go_meanwhile_are_healed_later(live):
    """What was computed beside removals holds; they are walked through as before."""
    live.remove(np.array([1, 2]))
    live.publish()
    healing = live.healing()
    live.remove(np.array([3]))
    live.publish()

    assert live.finish(healing, healing.run()) == 2
    graph = live.publish().graph
    assert live.n_unhealed == 1
    assert not np.isin(graph.neighbors[3:], [1, 2]).any()
    assert not graph.alive[[1, 2, 3]].any()
    assert live.heal() == 1


def test_an_insert_outdates_a_pass(live):
    """The new item's links are not in it; after three such passes changes have to wait."""
    schedule = HealingSchedule(FakeClock(0.0), 0.0)
    live.remove(np.array([1]))
    live.publish()
    for _ in range(3):
        assert schedule.is_due(live)
        assert not schedule.has_to_be_now
        healing = live.healing()
        live.insert(VECTORS[:1])
        live.publish()
        schedule.note(live.finish(healing, healing.run()))

    assert schedule.has_to_be_now
    schedule.note(live.heal())
    assert not schedule.has_to_be_now
    assert not live.n_unhealed
