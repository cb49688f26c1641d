"""Walking the graph and scoring everything give the same answer where they must, and nearly elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from graph_index.build import BuildSettings, build_graph
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.rng import numpy_generator
from vizsla.testing.retrievers import same_results
from vizsla.testing.scorers import DotScorer, MlpScorer
from vizsla.testing.search_scorers import (
    CountingScorer,
    DistanceScorer,
    TableScorer,
    clustered_vectors,
)

SEEDS = st.integers(0, 2**32 - 1)


def coverage(found, truth):
    """Share of the truth's items that were found, mean over queries."""
    pairs = zip(found, truth, strict=True)
    return float(np.mean([np.isin(t.item_nums, f.item_nums).mean() for f, t in pairs]))


def random_reachable_graph(rng, n_items, degree):
    """Random neighbours, and a ring through all items so that every one can be reached."""
    neighbors = rng.integers(0, n_items, size=(n_items, degree))
    order = rng.permutation(n_items)
    neighbors[order, rng.integers(0, degree, n_items)] = np.roll(order, -1)
    entries = rng.choice(n_items, size=min(3, n_items), replace=False)
    return Graph(neighbors.astype(np.int32), entries.astype(np.int32), rng.random(n_items) < 0.9)


def table_queries(n_queries):
    """One query per row of a table, which may have more rows than items."""
    return [Query(np.empty(0, np.int64), np.array([row])) for row in range(n_queries)]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.integers(1, 5), st.integers(1, 70))
def test_widest_beam_is_exact(seed, n_items, degree, n_queries, k):
    """With ``beam_width = N`` and ``max_rounds = N`` the walk returns exactly the exhaustive list."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, n_items, degree)
    scorer = CountingScorer(
        TableScorer(rng.integers(0, 9, size=(n_queries, n_items)).astype(np.float32))
    )
    retriever = GraphRetriever(graph, np.zeros((n_items, 1), np.float32))
    excluded = tuple(rng.integers(0, n_items, rng.integers(0, 5)) for _ in range(n_queries))
    width = int(rng.integers(1, 4))
    walk = SearchOptions(
        k, Mode.WALK, n_items, entry_width=width, max_rounds=n_items, excluded=excluded
    )
    found = retriever.search(scorer, table_queries(n_queries), walk)

    assert scorer.scored().max() <= 1
    truth = retriever.search(
        scorer, table_queries(n_queries), SearchOptions(k, Mode.EXHAUSTIVE, excluded=excluded)
    )
    assert all(same_results(one, two) for one, two in zip(found, truth, strict=True))


def random_filters(rng, n_items, n_queries):
    """A bitmap of any selectivity, or none, for each query."""
    bitmaps = [rng.random(n_items) < rng.random() for _ in range(n_queries)]
    return tuple(bitmap if rng.random() < 0.8 else None for bitmap in bitmaps)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.integers(1, 5), st.integers(1, 70))
def test_widest_filtered_beam_is_exact(seed, n_items, degree, n_queries, k):
    """Under any filters the widest walk returns exactly what exhaustive scoring returns."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, n_items, degree)
    table = rng.integers(0, 9, size=(n_queries, n_items)).astype(np.float32)
    scorer = CountingScorer(TableScorer(table))
    retriever = GraphRetriever(graph, np.zeros((n_items, 1), np.float32))
    allowed = random_filters(rng, n_items, n_queries)
    excluded = tuple(rng.integers(0, n_items, rng.integers(0, 5)) for _ in range(n_queries))
    filtered = SearchOptions(k, excluded=excluded, allowed=allowed)
    walk = replace(filtered, mode=Mode.WALK, beam_width=n_items, max_rounds=n_items)
    found = retriever.search(scorer, table_queries(n_queries), walk)

    assert scorer.scored().max() <= 1
    truth = retriever.search(
        scorer, table_queries(n_queries), replace(filtered, mode=Mode.EXHAUSTIVE)
    )
    assert all(same_results(one, two) for one, two in zip(found, truth, strict=True))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(2, 80), st.integers(1, 8), st.integers(1, 9), st.booleans())
def test_filtered_walks_score_only_what_is_allowed(seed, n_items, degree, beam_width, with_proxy):
    """Whatever the widths and entries, no deep score goes to a filtered item, and ``k`` come back."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, n_items, degree)
    vectors = rng.normal(size=(n_items, 3)).astype(np.float32)
    scorer = CountingScorer(MlpScorer(vectors))
    retriever = GraphRetriever(graph, vectors, SearchSettings(proxy_seeds=3 * with_proxy))
    allowed = tuple(rng.random(n_items) < rng.random() for _ in range(3))
    k = int(rng.integers(1, n_items + 1))
    queries = [Query(rng.integers(0, n_items, size=2)) for _ in range(3)]
    options = SearchOptions(k, Mode.WALK, beam_width, entry_width=1, allowed=allowed)
    found = retriever.search(scorer, queries, options)

    order = np.argsort([not (bitmap & graph.alive).any() for bitmap in allowed], kind="stable")
    for row, query in enumerate(order.tolist()):
        assert not scorer.scored()[row][~allowed[query]].any()
        assert allowed[query][found[query].item_nums].all()
        n_allowed = int((allowed[query] & graph.alive).sum())
        assert len(found[query].item_nums) == min(k, n_allowed)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 80), st.integers(1, 8), st.integers(1, 9))
def test_narrow_walks_never_score_twice_or_fall_short(seed, n_items, degree, beam_width):
    """Whatever the widths, no item is scored twice and ``k`` results come back if they exist."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, n_items, degree)
    scorer = CountingScorer(TableScorer(rng.normal(size=(3, n_items)).astype(np.float32)))
    retriever = GraphRetriever(graph, np.zeros((n_items, 1), np.float32))
    k = int(rng.integers(1, n_items + 1))
    found = retriever.search(
        scorer, table_queries(3), SearchOptions(k, Mode.WALK, beam_width, entry_width=1)
    )

    assert scorer.scored().max() <= 1
    n_alive = int(graph.alive.sum())
    assert [len(result.item_nums) for result in found] == [min(k, n_alive)] * 3


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(5, 80))
def test_row_order_changes_nothing(seed, n_items):
    """Renumbering items, vectors and graph alike renumbers the answer and changes no work."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, n_items, 4)
    # small whole numbers, so that sums do not depend on their order
    vectors = rng.integers(-9, 9, size=(n_items, 3)).astype(np.float32)
    table = rng.permutation(2 * n_items).reshape(2, n_items).astype(np.float32)
    new_of = rng.permutation(n_items)
    old_of = np.argsort(new_of)
    renumbered = Graph(
        new_of[graph.neighbors[old_of]].astype(np.int32),
        new_of[graph.entry_points].astype(np.int32),
        graph.alive[old_of],
    )
    options = SearchOptions(k=5, mode=Mode.WALK, beam_width=5, entry_width=2)
    one = GraphRetriever(graph, vectors).search(TableScorer(table), table_queries(2), options)
    two = GraphRetriever(renumbered, vectors[old_of]).search(
        TableScorer(table[:, old_of]), table_queries(2), options
    )

    for left, right in zip(one, two, strict=True):
        assert new_of[left.item_nums].tolist() == right.item_nums.tolist()
        assert left.work.n_scored == right.work.n_scored
        assert left.work.stopped_by == right.work.stopped_by


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_batch_composition_changes_nothing(seed):
    """A query walked alone or among others scores the same items and answers the same."""
    rng = np.random.default_rng(seed)
    graph = random_reachable_graph(rng, 120, 5)
    scorer = TableScorer(rng.integers(0, 50, size=(9, 120)).astype(np.float32))
    retriever = GraphRetriever(
        graph, np.zeros((120, 1), np.float32), SearchSettings(max_lockstep=4)
    )
    options = SearchOptions(k=7, mode=Mode.WALK, beam_width=9, entry_width=3, max_scored=70)
    queries = table_queries(9)
    together = retriever.search(scorer, queries, options)

    for query, result in zip(queries, together, strict=True):
        alone = retriever.search(scorer, [query], options)[0]
        assert same_results(result, alone)
        assert alone.work.n_scored == result.work.n_scored
        assert alone.work.n_rounds == result.work.n_rounds
        assert alone.work.stopped_by == result.work.stopped_by


def test_distance_reaches_its_neighbours():
    """Under minus L2 the walk from the entry set finds 99 of 100 true nearest neighbours."""
    vectors = clustered_vectors(2000, size=16, n_clusters=40, noise=0.5)
    retriever = GraphRetriever(build_graph(vectors, BuildSettings(max_degree=16)), vectors)
    rng = numpy_generator(3, "queries")
    queries = [Query(rng.integers(0, 2000, 1)) for _ in range(100)]
    scorer = CountingScorer(DistanceScorer(vectors))
    truth = retriever.search(scorer, queries, SearchOptions(k=10, mode=Mode.EXHAUSTIVE))
    found = retriever.search(scorer, queries, SearchOptions(k=10, mode=Mode.WALK, beam_width=50))

    assert coverage(found, truth) >= 0.99
    assert np.mean([result.work.n_scored for result in found]) < 0.4 * 2000


def planted_search(n_clusters=50):
    """5,000 items in planted clusters, and users who like one cluster, under a small MLP."""
    vectors = clustered_vectors(5000, size=16, n_clusters=n_clusters, noise=0.3)
    settings = BuildSettings(max_degree=16, n_entry_points=200)
    retriever = GraphRetriever(build_graph(vectors, settings), vectors)
    rng = numpy_generator(5, "users")
    users = [rng.integers(0, 5000 // n_clusters, 10) * n_clusters for _ in range(60)]
    queries = [Query(user + rng.integers(0, n_clusters)) for user in users]
    return retriever, vectors, queries


@pytest.mark.parametrize(
    ("strength", "proxy_seeds"), [(0.3, 0), (0.05, 200)], ids=["far from a dot product", "near one"]
)
def test_planted_clusters_gate(strength, proxy_seeds):
    """At 15 % of 5,000 items scored, 97 % of a nonlinear scorer's top 50 are found."""
    retriever, vectors, queries = planted_search()
    scorer = MlpScorer(vectors, strength=strength)
    truth = retriever.search(scorer, queries, SearchOptions(k=50, mode=Mode.EXHAUSTIVE))
    options = SearchOptions(50, Mode.WALK, beam_width=80, entry_width=20, proxy_seeds=proxy_seeds)
    found = retriever.search(scorer, queries, options)

    assert coverage(found, truth) >= 0.97
    assert np.mean([result.work.n_scored for result in found]) <= 0.15 * 5000


def test_coverage_grows_with_the_beam():
    """A wider beam scores more and covers at least as much of the exhaustive answer."""
    retriever, vectors, queries = planted_search()
    scorer = CountingScorer(MlpScorer(vectors))
    truth = retriever.search(scorer, queries, SearchOptions(k=20, mode=Mode.EXHAUSTIVE))
    results = [
        retriever.search(
            scorer, queries, SearchOptions(k=20, mode=Mode.WALK, beam_width=width, entry_width=5)
        )
        for width in (20, 60, 200)
    ]
    covered = [coverage(found, truth) for found in results]
    scored = [np.mean([result.work.n_scored for result in found]) for found in results]

    assert covered == sorted(covered)
    assert scored == sorted(scored)


def test_exact_proxy_needs_one_round():
    """When the proxy is the score itself, its seeds are the answer and the walk ends at once."""
    retriever, vectors, queries = planted_search()
    scorer = DotScorer(vectors)
    truth = retriever.search(scorer, queries, SearchOptions(k=20, mode=Mode.EXHAUSTIVE))
    options = SearchOptions(k=20, mode=Mode.WALK, proxy_seeds=300)
    found = retriever.search(scorer, queries, options)

    assert coverage(found, truth) == 1.0
    assert all(result.work.n_proxy_scored == 5000 for result in found)
    assert np.mean([result.work.n_rounds for result in found]) < 2
