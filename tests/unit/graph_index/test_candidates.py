"""Cheap sources of candidates: what they choose, and how far off they are."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from graph_index.build import build_graph
from graph_index.candidates import FixedOrder, FloatScan, HnswSearch, Int8Scan
from graph_index.dot_walk import DotWalk
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.selection import largest
from graph_index.settings import BuildSettings
from graph_index.workspace import ThreadWorkspaces
from vizsla.clock import FakeClock
from vizsla.contracts.index import Query
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import CountingScorer, clustered_vectors

VECTORS = clustered_vectors(300)
NOTHING = np.empty(0, np.int64)
FLOATS = st.floats(-100, 100, width=32)


def may(*excluded, alive=None):
    """What may be returned to one query per argument."""
    everything = np.ones(300, np.bool_) if alive is None else alive
    return Returnable(everything, list(excluded), [None] * len(excluded))


def scoring(scorer, n_queries=2):
    queries = [Query(np.array([row, row + 7])) for row in range(n_queries)]
    return Scoring(scorer, queries, FakeClock(), scorer.n_items)


@given(
    arrays(np.float32, st.integers(1, 20_000), elements=FLOATS, fill=FLOATS),
    st.integers(1, 300),
)
def test_the_largest_are_the_largest(scores, width):
    """Whatever the guess of the threshold, as many come back as asked for, and none is smaller than one left out."""
    places = largest(scores, width)

    assert len(set(places.tolist())) == min(width, len(scores))
    assert np.sort(scores[places]).tolist() == np.sort(scores)[-width:].tolist()


def test_a_spike_outside_the_sample_is_found():
    """The threshold is guessed from every sixteenth score, the answer is not."""
    scores = np.linspace(0, 1, 10_000, dtype=np.float32)
    scores[17] = 5

    assert 17 in largest(scores, 1)


@pytest.mark.parametrize("source", [FloatScan, Int8Scan, HnswSearch])
def test_a_source_passes_over_what_may_not_be_returned(source):
    """Excluded items are missing for their own query alone, dead ones for all."""
    alive = np.ones(300, np.bool_)
    alive[5] = False
    opened = source(VECTORS)
    free = opened.best(scoring(DotScorer(VECTORS)), 20, may(NOTHING, NOTHING, alive=alive), 300)
    hidden = opened.best(scoring(DotScorer(VECTORS)), 20, may(free[0], NOTHING, alive=alive), 300)

    assert not np.isin(hidden[0], free[0]).any()
    assert sorted(hidden[1]) == sorted(free[1])
    assert 5 not in np.concatenate([*free, *hidden])
    assert [len(items) for items in (*free, *hidden)] == [20] * 4


class TickingClock(FakeClock):
    """A second passes whenever somebody asks for the time."""

    def monotonic_s(self):
        self.advance(1.0)
        return super().monotonic_s()


def opened_walk(vectors):
    return DotWalk(build_graph(vectors, BuildSettings(max_degree=8)), vectors, ThreadWorkspaces())


@pytest.mark.parametrize("source", [FloatScan, Int8Scan, HnswSearch, opened_walk])
def test_a_source_asks_for_the_time_between_queries(source):
    """Whom the deadline leaves no time for gets nothing, and nobody is searched for in vain."""
    scorer, clock = DotScorer(VECTORS), TickingClock()
    queries = [Query(np.array([row])) for row in range(30)]
    late = Scoring(scorer, queries, clock, 300, deadline_s=clock.monotonic_s() + 20)
    found = source(VECTORS).best(late, 5, may(*[NOTHING] * 30), 5)
    lengths = [len(items) for items in found]

    assert lengths == sorted(lengths, reverse=True)
    assert 5 in lengths
    assert lengths[-1] == 0


@pytest.mark.parametrize("source", [FloatScan, Int8Scan, HnswSearch])
def test_without_a_proxy_there_is_nothing_to_search_with(source):
    """The caller is told, and chooses another way."""
    scorer = CountingScorer(DotScorer(VECTORS))

    assert source(VECTORS).best(scoring(scorer, 1), 5, may(NOTHING), 5) is None


def test_the_float_scan_is_exact():
    """It gives the best by the proxy, and counts a product per item."""
    asked = scoring(DotScorer(VECTORS), 1)
    found = FloatScan(VECTORS).best(asked, 10, may(NOTHING), 10)[0]
    products = VECTORS @ VECTORS[[0, 7]].mean(axis=0)

    assert set(found) == set(np.argsort(-products)[:10])
    assert asked.n_proxy_scored == 300


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 30), st.just(8)), elements=st.floats(-4, 4, width=32)
    ),
    arrays(np.float32, 8, elements=st.floats(-4, 4, width=32)),
)
def test_the_products_of_the_int8_scan_are_off_by_at_most_half_a_step_per_entry(vectors, user):
    """What the index itself compares, for any scale of items and query."""
    scan, n_items = Int8Scan(vectors), len(vectors)
    user_step = max(np.abs(user).max() / 127, np.finfo(np.float32).tiny)
    found, items = scan.index.search(scan.asked(user[None]), n_items)
    products = np.empty(n_items)
    products[items[0]] = found[0] * np.float64(scan.step) * user_step
    error = np.abs(products - vectors.astype(np.float64) @ user)
    sums = np.abs(vectors).sum(axis=1) + 8 * scan.step / 2

    assert (error <= scan.step / 2 * np.abs(user).sum() + user_step / 2 * sums + 1e-4).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_the_length_of_a_query_does_not_matter_to_the_int8_scan(scale):
    """A temperature inside the proxy changes no order."""

    class Scaled(DotScorer):
        def proxy(self, state):
            return state * np.float32(scale)

    found = Int8Scan(VECTORS).best(scoring(Scaled(VECTORS)), 20, may(NOTHING, NOTHING), 20)
    exact = FloatScan(VECTORS).best(scoring(DotScorer(VECTORS)), 10, may(NOTHING, NOTHING), 10)

    assert all(set(best) <= set(more) for best, more in zip(exact, found, strict=True))


def test_the_int8_scan_finds_the_best_among_a_few_more():
    """Twenty by the rounded product hold the ten best by the exact one."""
    rounded = Int8Scan(VECTORS).best(scoring(DotScorer(VECTORS)), 20, may(NOTHING, NOTHING), 20)
    exact = FloatScan(VECTORS).best(scoring(DotScorer(VECTORS)), 10, may(NOTHING, NOTHING), 10)

    assert all(set(best) <= set(more) for best, more in zip(exact, rounded, strict=True))


def test_a_fixed_order_fills_up_behind_what_is_excluded():
    """Order 3, 1, 2, 0 without item 1 and with item 2 dead leaves 3 and 0."""
    alive = np.array([True, True, False, True])
    source = FixedOrder(np.array([3, 1, 2, 0]))

    assert source.best(None, 2, may(np.array([1]), alive=alive), 0)[0].tolist() == [3, 0]
