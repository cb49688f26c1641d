"""Seeds by a walk under the proxy: nearly those of a scan, and a scan where something is hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graph_index.build import build_graph
from graph_index.candidates import FloatScan
from graph_index.dot_walk import DotWalk
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.settings import BuildSettings, SearchSettings
from graph_index.workspace import Workspace
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.contracts.tables import tables_of
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
    marks = Workspace()
    return DotWalk(graph, VECTORS, lambda: marks, tables)


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


def test_a_filter_or_a_dead_item_is_scanned():
    """The answers are those of the scan, and as many products are counted."""
    bitmap = np.arange(N) % 40 == 3
    some = may(NOTHING, NOTHING, allowed=[bitmap, None])
    alive = np.ones(N, np.bool_)
    alive[:5] = False
    cases = [(opened(), some), (opened(replace(GRAPH, alive=alive)), may([], [], alive=alive))]
    for source, returnable in cases:
        asked = scoring()
        found = source.best(asked, 30, returnable, 30)
        expected = FloatScan(VECTORS).best(scoring(), 30, returnable, 30)

        assert [set(items) for items in found] == [set(items) for items in expected]
        assert asked.n_proxy_scored == N


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
