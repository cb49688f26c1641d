"""The walk, by hand on a path graph, and its stop rules."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query, SearchOptions, StopReason
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import CountingScorer, TableScorer

N = 8
QUERY = [Query(np.array([0]))]
RISING = np.arange(N, dtype=np.float32)[None, :]


def path_graph(n_items=N, entries=(0,), alive=None):
    """Items in a row, each linked with the next and the one before."""
    items = np.arange(n_items, dtype=np.int32)
    neighbors = np.stack([np.maximum(items - 1, 0), np.minimum(items + 1, n_items - 1)], axis=1)
    mask = np.ones(n_items, bool) if alive is None else alive
    return Graph(neighbors.astype(np.int32), np.array(entries, np.int32), mask)


def walk(table, graph=None, clock=None, settings=None, **options):
    """Walk the path for one query of a score table; return the result and the calls."""
    retriever = GraphRetriever(
        graph or path_graph(), np.ones((N, 1), np.float32), settings, clock=clock or FakeClock()
    )
    scorer = CountingScorer(TableScorer(np.asarray(table, np.float32)))
    chosen = SearchOptions(mode=Mode.WALK, **options)
    return retriever.search(scorer, QUERY, chosen)[0], [call[1].tolist() for call in scorer.calls]


def test_climbs_a_path_by_hand():
    """From item 0 upwards, one new item a round: 0, then 1, 2, 3."""
    result, calls = walk(RISING, k=2, beam_width=2, max_rounds=3)

    assert calls == [[0], [1], [2], [3]]
    assert result.item_nums.tolist() == [3, 2]
    assert result.scores.tolist() == [3.0, 2.0]
    assert result.work.n_scored == 4
    assert result.work.n_rounds == 3
    assert result.work.stopped_by is StopReason.ROUNDS
    assert result.work.mode is Mode.WALK
    assert result.work.n_proxy_scored == 0


def test_reaches_the_end():
    """With rounds enough, the walk ends when nothing is left to expand."""
    result, calls = walk(RISING, k=1, beam_width=1, max_rounds=99)

    assert calls == [[item] for item in range(N)]
    assert result.item_nums.tolist() == [7]
    assert result.work.stopped_by is StopReason.EXHAUSTED


def test_stops_when_nothing_new_is_in_the_beam():
    """Scores fall along the path: after the beam is full of better ones the walk ends."""
    result, calls = walk(-RISING, k=1, beam_width=2, max_rounds=99)

    assert calls == [[0], [1], [2]]
    assert result.item_nums.tolist() == [0]
    assert result.work.stopped_by is StopReason.NO_IMPROVEMENT


def test_all_scored_entries_are_in_the_beam():
    """Entries that are not expanded still bar worse items: with width 2, 5 and 4 fill the beam."""
    table = [[5, 0, 0, 0, 0, 0, 0, 4]]
    result, calls = walk(
        table, path_graph(entries=(0, 7)), k=1, beam_width=2, entry_width=1, max_rounds=9
    )

    assert calls == [[0, 7], [1]]
    assert result.work.stopped_by is StopReason.NO_IMPROVEMENT


def test_the_answer_is_over_all_scored_items():
    """Entries outside the frontier and the last rounds' losers can be results."""
    table = [[9, 1, 0, 0, 0, 0, 0, 8]]
    result, _ = walk(
        table, path_graph(entries=(0, 7)), k=3, beam_width=3, entry_width=1, max_rounds=1
    )

    assert result.item_nums.tolist() == [0, 7, 1]


def test_a_dry_round_goes_on_with_the_rest_of_the_beam():
    """Item 0 leads nowhere new; the entry that was not expanded leads on."""
    neighbors = np.array([[1], [0], [3], [2]], np.int32)
    graph = Graph(neighbors, np.array([0, 1, 2], np.int32), np.ones(4, bool))
    retriever = GraphRetriever(graph, np.ones((4, 1), np.float32))
    scorer = CountingScorer(TableScorer(np.array([[9, 8, 1, 5]], np.float32)))
    options = SearchOptions(k=4, mode=Mode.WALK, beam_width=4, entry_width=1, max_rounds=9)
    result = retriever.search(scorer, QUERY, options)[0]

    assert result.item_nums.tolist() == [0, 1, 3, 2]
    assert result.work.stopped_by is StopReason.EXHAUSTED


def test_a_dry_walk_from_proxy_seeds_falls_back_on_the_entry_set():
    """Seeds on an island do not end the walk before the entry set was tried."""
    vectors = np.array([[1.0], [0.9], [0.2], [0.1]], np.float32)
    island = np.array([[1], [0], [3], [2]], np.int32)
    graph = Graph(island, np.array([0, 2], np.int32), np.ones(4, bool))
    options = SearchOptions(k=4, mode=Mode.WALK, proxy_seeds=1, max_rounds=9)
    result = GraphRetriever(graph, vectors).search(DotScorer(vectors), QUERY, options)[0]

    assert result.item_nums.tolist() == [0, 1, 2, 3]


def test_excluded_items_are_walked_through():
    """Items 1 and 2 are on the way: they are scored, never returned, and take no place."""
    result, calls = walk(RISING, k=2, beam_width=2, max_rounds=4, excluded=(np.array([2, 1, 2]),))

    assert calls == [[0], [1], [2], [3], [4]]
    assert result.item_nums.tolist() == [4, 3]


def test_dead_items_are_walked_through():
    """The alive mask works like an exclusion for everybody."""
    result, calls = walk(RISING, path_graph(alive=np.arange(N) != 1), k=8, max_rounds=2)

    assert calls[1] == [1]
    assert result.item_nums.tolist() == [7, 6, 5, 4, 3, 2, 0]


def test_rounds_yield_to_k():
    """A bound on rounds that leaves too few results is passed until there are enough."""
    result, _ = walk(RISING, k=5, max_rounds=1)

    assert result.work.n_scored == 5
    assert result.work.n_rounds == 4
    assert result.work.stopped_by is StopReason.ROUNDS


def test_rounds_do_not_wait_for_what_cannot_come():
    """``k`` counts only what may be returned: with one item left, one is enough."""
    excluded = (np.array([1, 2, 3, 4, 5, 6, 7]),)
    result, _ = walk(RISING, k=5, max_rounds=1, excluded=excluded)

    assert result.item_nums.tolist() == [0]
    assert result.work.n_rounds == 1


def test_no_rounds_score_the_entries_only():
    """``max_rounds = 0`` ranks the entry set."""
    result, calls = walk(RISING, path_graph(entries=(2, 5)), k=2, max_rounds=0)

    assert calls == [[2, 5]]
    assert result.item_nums.tolist() == [5, 2]
    assert result.work.n_rounds == 0


@pytest.mark.parametrize("max_scored", [1, 2, 3, 5])
def test_budget_is_exact(max_scored):
    """Exactly ``max_scored`` items are scored, and the best of them come back."""
    result, calls = walk(RISING, path_graph(entries=(1, 4)), k=8, max_scored=max_scored)

    assert result.work.n_scored == max_scored == sum(map(len, calls))
    assert len(result.item_nums) == max_scored
    assert result.work.stopped_by is StopReason.BUDGET


def test_deadline_gives_the_best_so_far():
    """Each call takes a second on the clock; no call starts at or after the deadline."""
    clock = FakeClock()
    retriever = GraphRetriever(path_graph(), np.ones((N, 1), np.float32), clock=clock)
    scorer = CountingScorer(TableScorer(RISING), clock, seconds_per_call=1.0)
    options = SearchOptions(k=2, mode=Mode.WALK, max_rounds=99, deadline_s=2.5)
    result = retriever.search(scorer, QUERY, options)[0]

    assert len(scorer.calls) == 3
    assert result.item_nums.tolist() == [2, 1]
    assert result.work.stopped_by is StopReason.DEADLINE
    assert result.work.parts_us["score"] == 3_000_000


def test_one_call_per_round_for_all_queries():
    """Queries advance together; one that has stopped is not asked about again."""
    table = np.stack([RISING[0], -RISING[0]])
    scorer = CountingScorer(TableScorer(table))
    retriever = GraphRetriever(path_graph(), np.ones((N, 1), np.float32))
    options = SearchOptions(k=1, mode=Mode.WALK, beam_width=1, max_rounds=4)
    up, down = retriever.search(scorer, [Query(np.array([0])), Query(np.array([1]))], options)

    asked = [list(zip(*map(np.ndarray.tolist, call), strict=True)) for call in scorer.calls]
    assert asked == [[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(0, 2)], [(0, 3)], [(0, 4)]]
    assert (up.work.n_rounds, down.work.n_rounds) == (4, 1)
    assert down.work.stopped_by is StopReason.NO_IMPROVEMENT


def test_equal_scores_do_not_flood_the_frontier():
    """When every score is the same, a round still expands at most ``beam_width`` items."""
    n_items = 1000
    rng = np.random.default_rng(0)
    neighbors = rng.integers(0, n_items, (n_items, 8)).astype(np.int32)
    graph = Graph(neighbors, np.arange(50, dtype=np.int32), np.ones(n_items, bool))
    scorer = CountingScorer(TableScorer(np.zeros((1, n_items), np.float32)))
    options = SearchOptions(k=5, mode=Mode.WALK, beam_width=5, entry_width=5, max_rounds=3)
    GraphRetriever(graph, np.ones((n_items, 1), np.float32)).search(scorer, QUERY, options)

    assert all(len(call[1]) <= 5 * 8 for call in scorer.calls[1:])


def test_auto_depends_on_what_may_be_returned():
    """A small catalogue or a narrow filter is scored completely, else the graph is walked."""
    settings = SearchSettings(exhaustive_below=4)
    retriever = GraphRetriever(path_graph(), np.ones((N, 1), np.float32), settings)
    queries = [Query(np.array([0])), Query(np.array([0]))]
    excluded = (np.array([0, 0, 1]), np.array([0, 1, 2, 3]))
    scorer = TableScorer(RISING)
    wide, narrow = retriever.search(scorer, queries, SearchOptions(k=9, excluded=excluded))

    assert (wide.work.mode, narrow.work.mode) == (Mode.WALK, Mode.EXHAUSTIVE)
    assert narrow.item_nums.tolist() == [7, 6, 5, 4]
    assert narrow.work.n_scored == 4
    assert wide.item_nums.tolist() == [7, 6, 5, 4, 3, 2]


def test_proxy_seeds_pass_over_what_cannot_be_returned():
    """A seed is never an excluded or dead item when another one is left."""
    vectors = np.arange(N, dtype=np.float32)[:, None]
    scorer = DotScorer(vectors)
    retriever = GraphRetriever(path_graph(alive=np.arange(N) != 6), vectors)
    options = SearchOptions(
        k=2, mode=Mode.WALK, proxy_seeds=2, max_rounds=0, excluded=(np.array([7]),)
    )
    result = retriever.search(scorer, [Query(np.array([1]))], options)[0]

    assert result.item_nums.tolist() == [5, 4]
    assert result.work.n_proxy_scored == N
    assert result.work.n_scored == 2


def test_seeds_and_entry_set_together():
    """With ``entry_points_with_proxy`` both are scored first."""
    vectors = np.arange(N, dtype=np.float32)[:, None]
    settings = SearchSettings(entry_points_with_proxy=1, proxy_seeds=2)
    retriever = GraphRetriever(path_graph(entries=(0, 7)), vectors, settings)
    options = SearchOptions(k=1, mode=Mode.WALK, max_rounds=0)
    result = retriever.search(DotScorer(vectors), [Query(np.array([1]))], options)[0]

    assert result.work.n_scored == 3
