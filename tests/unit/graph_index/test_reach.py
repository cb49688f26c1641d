"""Reachability and repair."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

from graph_index.reach import UNREACHED, Reach
from graph_index.repair import repair


def table(*rows):
    return np.array(rows, np.int32)


def naive_reachable(neighbors, entries):
    seen, stack = set(entries), list(entries)
    while stack:
        for item in neighbors[stack.pop()]:
            if int(item) not in seen:
                seen.add(int(item))
                stack.append(int(item))
    return seen


def test_forest_names_where_each_item_was_reached_from():
    """Roots have parent -1, others the item they were first reached from."""
    reach = Reach(table([1, 1], [2, 0], [2, 2], [0, 0]), np.array([0], np.int32))

    assert reach.parent.tolist() == [-1, 0, 1, UNREACHED]
    assert reach.unreached().tolist() == [3]


def test_adopting_an_item_brings_in_what_it_leads_to():
    """After one link into an island the whole island is reached."""
    neighbors = table([0, 0], [2, 2], [1, 1])
    reach = Reach(neighbors, np.array([0], np.int32))
    neighbors[0, 1] = 1
    reach.adopt(1, 0)

    assert reach.parent.tolist() == [-1, 0, 1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4))
def test_reach_equals_a_plain_search(seed, n_items, degree):
    """The frontier arrays reach exactly what a stack of Python numbers reaches."""
    rng = np.random.default_rng(seed)
    neighbors = rng.integers(0, n_items, (n_items, degree)).astype(np.int32)
    entries = rng.integers(0, n_items, 1).astype(np.int32)
    reach = Reach(neighbors, entries)

    assert set(reach.reached().tolist()) == naive_reachable(neighbors, entries.tolist())
    children = np.flatnonzero(reach.parent >= 0)
    assert all(child in neighbors[reach.parent[child]] for child in children)


def test_repair_uses_a_padded_slot_of_the_nearest_item():
    """Item 3 lies next to item 2, which has a padded slot: that slot is taken, and no other."""
    neighbors = table([1, 0], [2, 0], [1, 2], [2, 3])
    vectors = np.array([[0.0], [1.0], [2.0], [2.5]], np.float32)

    assert repair(neighbors, np.array([0], np.int32), vectors) == 1
    assert neighbors.tolist() == [[1, 0], [2, 0], [1, 3], [2, 3]]


def test_repair_overwrites_only_an_edge_nobody_needs():
    """With all slots full, the edge on the way to another item stays."""
    neighbors = table([1, 2], [0, 2], [0, 1], [2, 0])
    vectors = np.array([[0.0], [1.0], [2.0], [0.1]], np.float32)
    repair(neighbors, np.array([0], np.int32), vectors)

    assert Reach(neighbors, np.array([0], np.int32)).unreached().tolist() == []
    assert neighbors[0].tolist() == [1, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(4, 6), st.booleans())
def test_repair_reaches_everything(seed, n_items, degree, identical):
    """Any table with four slots or more is repaired, and nothing that was reached is lost."""
    rng = np.random.default_rng(seed)
    few = max(1, n_items // 4)
    neighbors = rng.integers(0, few, (n_items, degree)).astype(np.int32)
    size = (n_items, 2)
    vectors = np.ones(size, np.float32) if identical else rng.normal(size=size).astype(np.float32)
    entries = rng.integers(0, n_items, 1).astype(np.int32)
    repair(neighbors, entries, vectors)

    assert naive_reachable(neighbors, entries.tolist()) == set(range(n_items))
