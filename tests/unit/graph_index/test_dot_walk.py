"""Seeds by a walk under the proxy: nearly those of a scan, whatever may not be returned."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from graph_index.build import build_graph
from graph_index.candidates import FloatScan
from graph_index.dot_walk import DotWalk
from graph_index.graph import Graph
from graph_index.kernels import reference
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.settings import BuildSettings, SearchSettings
from graph_index.workspace import ThreadWorkspaces
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.contracts.tables import tables_of
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import CountingScorer, clustered_vectors

N = 3000
VECTORS = clustered_vectors(N)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=16))
NOTHING = np.empty(0, np.int64)
SCORER = DotScorer(VECTORS)
WALKED = SearchSettings(proxy_scan_below=100, exhaustive_below=100, proxy_seeds=50)


def may(*excluded, alive=None, allowed=None):
    """What may be returned to one query per argument."""
    alive = np.ones(N, np.bool_) if alive is None else alive
    return Returnable(alive, list(excluded), allowed or [None] * len(excluded))


def scoring(scorer=SCORER, n_queries=2):
    queries = [Query(np.array([row, row + 7])) for row in range(n_queries)]
    return Scoring(scorer, queries, FakeClock(), scorer.n_items)


def opened(graph=GRAPH, tables=None):
    return DotWalk(graph, VECTORS, ThreadWorkspaces(), tables)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_leaving_out_low_entries_changes_nothing(share):
    """Items and work are those of the reference, which starts from every entry."""
    allowed = None if share == 1 else numpy_generator(0, "allowed").random(N) < share
    walk = opened(GRAPH)
    for proxy in VECTORS[:20]:
        items, n_dots = walk._walked(proxy, 30, allowed, N)
        entries = GRAPH.entry_points
        links = (GRAPH.neighbors, entries, VECTORS[entries] @ proxy)
        mask = np.empty(0, np.bool_) if allowed is None else allowed
        table, marks = (VECTORS, np.empty(0, np.float32)), (np.zeros(N, np.int32), 1)
        same, n_same = reference.walk_by_dot(links, table, proxy, 30, marks, mask, N)

        np.testing.assert_array_equal(np.sort(items), np.sort(same))
        assert n_dots == pytest.approx(n_same, rel=0.2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_it_finds_nearly_what_a_scan_finds_for_fewer_products(dtype):
    asked = scoring()
    tables = tables_of([VECTORS], dtype)
    found = opened(tables=tables).best(asked, 100, may(NOTHING, NOTHING), 100)
    exact = FloatScan(VECTORS).best(scoring(), 100, may(NOTHING, NOTHING), 100)

    assert [len(items) for items in found] == [100, 100]
    assert all(
        np.isin(ours, theirs).mean() > 0.9 for ours, theirs in zip(found, exact, strict=True)
    )
    assert 0 < asked.n_proxy_scored < N


def test_excluded_items_are_passed_over_for_their_own_query():
    free = opened().best(scoring(), 20, may(NOTHING, NOTHING), 20)
    hidden = opened().best(scoring(), 20, may(free[0], NOTHING), 20)

    assert not np.isin(hidden[0], free[0]).any()
    assert len(hidden[0]) == 20
    np.testing.assert_array_equal(hidden[1], free[1])


@pytest.mark.parametrize("n_gone", [1, 300])
def test_removed_items_are_walked_through(n_gone):
    """A removed or paused item costs nothing: as many products as before, and the same quality."""
    alive = np.ones(N, np.bool_)
    gone = np.random.default_rng(1).choice(N, n_gone, replace=False)
    alive[gone] = False
    asked, before, exact = scoring(), scoring(), scoring()
    returnable = may(NOTHING, NOTHING, alive=alive)
    opened().best(before, 100, may(NOTHING, NOTHING), 100)
    found = opened(replace(GRAPH, alive=alive)).best(asked, 100, returnable, 100)
    expected = FloatScan(VECTORS).best(exact, 100, returnable, 100)

    assert shared(found, expected) >= 0.95
    assert not np.isin(np.concatenate(found), gone).any()
    assert asked.n_proxy_scored < 1.3 * before.n_proxy_scored < exact.n_proxy_scored == N


def test_more_removed_than_a_walk_can_pass_are_scanned_past():
    """What is left is multiplied, and nothing else, when the walk has cost as much."""
    alive = np.arange(N) % 50 == 3
    asked, returnable = scoring(), may(NOTHING, NOTHING, alive=alive)
    found = opened(replace(GRAPH, alive=alive)).best(asked, 30, returnable, 30)
    expected = FloatScan(VECTORS).best(scoring(), 30, returnable, 30)

    assert shared(found, expected) == 1
    assert asked.n_proxy_scored < 3 * alive.sum() + len(GRAPH.entry_points)


LARGE = clustered_vectors(20_000, 8, 80)
"""Large enough for a walk past a filter to cost less than its allowed items."""

FILTERS = {
    "nine in ten": (np.arange(20_000) % 10 != 3, 0.1),
    "half": (np.arange(20_000) % 2 == 1, 0.15),
    "half of the clusters": (np.arange(20_000) % 80 < 40, 0.15),
    "one in twenty": (np.arange(20_000) % 20 == 3, 0.05),
    "one in a thousand": (np.arange(20_000) % 1000 == 3, 0.001),
    "none": (np.zeros(20_000, np.bool_), 0.0),
}


@pytest.fixture(scope="module")
def large_graph():
    return build_graph(LARGE, BuildSettings(max_degree=16, ef_construction=40))


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_costs_what_it_allows_or_less(large_graph, name):
    """Nearly the seeds of a scan of everything; never a product for each of the N items."""
    allowed, most = FILTERS[name]
    asked, exact = (scoring(DotScorer(LARGE), 8) for _ in range(2))
    alive = np.ones(len(LARGE), np.bool_)
    returnable = Returnable(alive, [NOTHING] * 8, [allowed] * 8)
    found = DotWalk(large_graph, LARGE, ThreadWorkspaces()).best(asked, 100, returnable, 100)
    expected = FloatScan(LARGE).best(exact, 100, returnable, 100)

    assert all(allowed[items].all() for items in found)
    assert shared(found, expected) >= 0.95
    assert asked.n_proxy_scored <= most * len(LARGE)


def test_excluded_and_filtered_at_once():
    """An exclusion takes nothing from the other allowed items, walked or scanned."""
    for allowed in (np.arange(N) % 10 != 3, np.arange(N) % 40 == 3):
        returnable = may(NOTHING, NOTHING, allowed=[allowed, allowed])
        free = opened().best(scoring(), 20, returnable, 20)
        hidden = may(free[0][:5], NOTHING, allowed=[allowed, allowed])
        found = opened().best(scoring(), 20, hidden, 20)

        assert not np.isin(found[0], free[0][:5]).any()
        assert np.isin(free[0][5:], found[0]).all()
        np.testing.assert_array_equal(np.sort(found[1]), np.sort(free[1]))


def shared(found, expected):
    """The mean share of what a scan finds, over the queries; 1 where there is nothing."""
    pairs = zip(found, expected, strict=True)
    return np.mean([np.isin(theirs, ours).mean() if len(theirs) else 1.0 for ours, theirs in pairs])


def test_without_a_proxy_there_is_nothing_to_walk_by():
    assert opened().best(scoring(CountingScorer(SCORER), 1), 5, may(NOTHING), 5) is None


def test_a_large_catalogue_is_walked_and_keeps_its_answers_when_it_grows():
    """A further state of the catalogue has more rows than the bundle's tables."""
    queries = [Query(np.array([0, 7]))]
    options = SearchOptions(k=20, mode=Mode.WALK)
    first = GraphRetriever(GRAPH, VECTORS, WALKED, tables=tables_of([VECTORS], "int8"))
    found = first.search(SCORER, queries, options)[0]
    best = found.item_nums[0]
    longer = np.concatenate([VECTORS, VECTORS[[best]]])
    links = np.concatenate([GRAPH.neighbors, GRAPH.neighbors[[best]]])
    links[best, 0] = N
    grown = Graph(links, GRAPH.entry_points, np.ones(N + 1, np.bool_))
    second = first.over(grown, longer)
    then = second.search(DotScorer(longer), queries, options)[0]

    assert [type(one.source) for one in (first, second)] == [DotWalk, DotWalk]
    assert then.item_nums[:2].tolist() == [best, N]
    assert found.work.n_proxy_scored < N


def test_a_superseded_state_is_freed_at_once():
    """Not when the garbage collector comes: a changing catalogue would pile up neighbour tables."""
    settings = SearchSettings(proxy_scan_below=0)
    retriever = GraphRetriever(GRAPH, VECTORS, settings).over(GRAPH, VECTORS)
    retriever.search(SCORER, [Query(np.array([1]))], SearchOptions(k=5, mode=Mode.WALK))
    assert isinstance(retriever.source, DotWalk)
    gone = weakref.ref(retriever)
    gc.disable()
    try:
        del retriever
        assert gone() is None
    finally:
        gc.enable()
