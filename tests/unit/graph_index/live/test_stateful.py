"""Any sequence of operations leaves the graph that a plain set of items describes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graph_index.build import BuildSettings, build_graph
from graph_index.live.check import live_problems
from graph_index.live.graph import LiveGraph
from graph_index.reach import Reach
from graph_index.retriever import GraphRetriever
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import MlpScorer

SIZE = 4
DEGREE = 6


class LiveGraphMachine(RuleBasedStateMachine):
    """The model is a dictionary from places to vectors, and the set of paused places."""

    @initialize(seed=st.integers(0, 50), n_items=st.integers(1, 40), clumps=st.booleans())
    def start(self, seed, n_items, clumps):
        self.rng = numpy_generator(seed, "stateful")
        self.clumps = clumps
        vectors = self.draw(n_items)
        self.live = LiveGraph(
            build_graph(vectors, BuildSettings(max_degree=DEGREE, n_entry_points=2)), vectors, ef=10
        )
        self.items = dict(enumerate(vectors))
        self.paused = set()
        self.held = []
        self.found = ()

    def draw(self, count):
        """Vectors, with many equal ones where the machine is of that kind."""
        vectors = self.rng.normal(size=(count, SIZE))
        return (np.round(vectors / 2) if self.clumps else vectors).astype(np.float32)

    def choose(self, count):
        return self.rng.permutation(np.array(sorted(self.items), np.int64))[:count]

    @rule(count=st.integers(1, 20))
    def insert(self, count):
        vectors = self.draw(count)
        nums = self.live.insert(vectors)
        assert not set(nums.tolist()) & self.items.keys()
        self.items.update(zip(nums.tolist(), vectors, strict=True))

    @rule(count=st.integers(1, 15))
    def remove(self, count):
        nums = self.choose(count)
        self.live.remove(nums)
        for num in nums.tolist():
            del self.items[num]
            self.paused.discard(num)

    @rule(count=st.integers(1, 10), active=st.booleans())
    def set_active(self, count, active):
        nums = self.choose(count)
        self.live.set_active(nums, active=active)
        self.paused = self.paused - set(nums) if active else self.paused | set(nums)

    @rule(at_most=st.sampled_from([1, 3, 1000]))
    def heal(self, at_most):
        self.live.heal(at_most)

    @rule()
    def look_for_entries(self):
        """As in a server, what is found is taken over after further changes only."""
        growth = self.live.entry_growth()
        if growth is not None:
            self.found = growth.run()

    @precondition(lambda self: len(getattr(self, "found", ())))
    @rule()
    def add_entries(self):
        self.live.add_entries(self.found)
        self.found = ()

    @precondition(lambda self: len(self.held) < 4)
    @rule()
    def hold(self):
        """A reader takes a snapshot and remembers what it saw."""
        snapshot = self.live.publish()
        arrays = (snapshot.graph.neighbors, snapshot.graph.entry_points, snapshot.graph.alive)
        alive = np.flatnonzero(snapshot.graph.alive)
        seen = [array.copy() for array in (*arrays, snapshot.item_vectors[alive])]
        self.held.append((snapshot, alive, seen))

    @precondition(lambda self: self.held)
    @rule()
    def let_go(self):
        self.held.pop(0)

    @invariant()
    def held_snapshots_do_not_change(self):
        for snapshot, alive, seen in getattr(self, "held", ()):
            graph = snapshot.graph
            now = (graph.neighbors, graph.entry_points, graph.alive, snapshot.item_vectors[alive])
            assert all(np.array_equal(*pair) for pair in zip(now, seen, strict=True))

    @invariant()
    def the_graph_is_sound(self):
        """Degree bound, numbers in range, and everything in the catalogue can be reached."""
        snapshot = self.live.publish()
        graph = snapshot.graph
        assert graph.max_degree == DEGREE
        assert 0 <= graph.neighbors.min() <= graph.neighbors.max() < graph.n_items
        assert len(np.unique(graph.entry_points)) == len(graph.entry_points)
        reached = Reach(graph.neighbors, graph.entry_points).reached()
        assert self.items.keys() <= set(reached.tolist())
        for row, own in zip(graph.neighbors, range(graph.n_items), strict=True):
            others = row[row != own]
            assert len(set(others.tolist())) == len(others)
        assert live_problems(self.live.state()) == []

    @invariant()
    def searches_see_exactly_the_live_items(self):
        """Exhaustive search equals the model's items sorted by score; the walk agrees on all."""
        snapshot = self.live.publish()
        live = sorted(self.items.keys() - self.paused)
        assert np.flatnonzero(snapshot.graph.alive).tolist() == live
        if not live:
            return
        vectors = snapshot.item_vectors
        assert np.array_equal(vectors[live], np.stack([self.items[num] for num in live]))
        scorer = MlpScorer(vectors)
        query = Query(np.array(live[:3]))
        expected = scorer.score(
            scorer.user_state([query]), np.zeros(len(live), np.int64), np.array(live)
        )
        order = np.lexsort((live, -expected))
        retriever = GraphRetriever(snapshot.graph, vectors)
        for mode in (Mode.EXHAUSTIVE, Mode.WALK):
            (found,) = retriever.search(scorer, [query], SearchOptions(k=1000, mode=mode))
            assert found.item_nums.tolist() == np.array(live)[order].tolist()


TestLiveGraph = LiveGraphMachine.TestCase
TestLiveGraph.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


@pytest.mark.slow
class TestLiveGraphLong(LiveGraphMachine.TestCase):
    """The same, for longer."""

    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
