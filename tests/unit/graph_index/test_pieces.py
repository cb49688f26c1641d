"""The parts of a search, each alone: plan, ranking, beam, visited marks, scoring, exhaustive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from graph_index.backends.exhaustive import ExhaustiveRetriever
from graph_index.beam import Beams
from graph_index.build import build_graph
from graph_index.plan import checked_exclusions, plan_search
from graph_index.ranking import group_ranks, ranked_per_query, top_k
from graph_index.rescore import rescore
from graph_index.retriever import GraphRetriever
from graph_index.scoring import Scoring
from graph_index.settings import SearchSettings
from graph_index.workspace import Workspace
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query, SearchOptions, StopReason
from vizsla.errors import ContractError
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import CountingScorer, TableScorer

EIGHT = build_graph(np.arange(8, dtype=np.float32)[:, None])
SEEDS = st.integers(0, 2**32 - 1)


def test_plan_fills_gaps_and_bounds_them():
    """Open options come from the settings; ``k`` widens the beam; N bounds everything."""
    settings = SearchSettings(beam_width=20, proxy_seeds=500, max_rounds=4)
    plan = plan_search(SearchOptions(k=30, entry_width=7), settings, 100)

    assert (plan.k, plan.beam_width, plan.entry_width) == (30, 30, 7)
    assert (plan.max_rounds, plan.max_scored, plan.proxy_seeds) == (4, 100, 100)
    assert plan.deadline_s == float("inf")
    assert plan_search(SearchOptions(k=900), settings, 100).k == 100


def test_effort_for_seeds_is_the_beam_unless_it_is_set():
    """An option goes before the setting, and 0 in either means as wide as the beam."""
    own = SearchSettings(beam_width=20, seed_effort=70)

    assert plan_search(SearchOptions(k=5), SearchSettings(beam_width=20), 100).seed_effort == 20
    assert plan_search(SearchOptions(k=5), own, 100).seed_effort == 70
    assert plan_search(SearchOptions(k=5, seed_effort=40), own, 100).seed_effort == 40
    assert plan_search(SearchOptions(k=5, seed_effort=0), own, 100).seed_effort == 20
    with pytest.raises(ContractError, match="seed_effort"):
        plan_search(SearchOptions(k=5, seed_effort=-1), own, 100)


def test_a_large_catalogue_is_searched_widely_under_a_filter():
    """Above 200,000 items the first round of a filtered walk looks around the whole beam."""
    small, large = (SearchSettings.for_catalogue(n) for n in (200_000, 200_001))
    plain, filtered = (
        plan_search(SearchOptions(), large, 10**6, filtered=one) for one in (False, True)
    )

    assert small == SearchSettings()
    assert (plain.entry_width, plain.beam_width, plain.use_entry_points) == (50, 200, False)
    assert (filtered.entry_width, filtered.beam_width, filtered.use_entry_points) == (
        1500,
        1500,
        True,
    )


def test_exclusions_are_sorted_and_distinct():
    """Any order and repeats are taken; nothing given means nothing excluded."""
    options = SearchOptions(excluded=(np.array([3, 1, 3]), np.array([])))

    assert [a.tolist() for a in checked_exclusions(options, 2, 4)] == [[1, 3], []]
    assert [len(a) for a in checked_exclusions(SearchOptions(), 3, 4)] == [0, 0, 0]


@given(SEEDS, st.integers(0, 40), st.integers(1, 50))
def test_top_k_equals_sorting(seed, n_items, k):
    """The partial sort gives what a full sort by falling score, rising item number gives."""
    rng = np.random.default_rng(seed)
    items = rng.permutation(n_items)
    scores = rng.integers(0, 5, n_items).astype(np.float32)
    found, best = top_k(items, scores, k)

    expected = sorted(zip(-scores, items, strict=True))[:k]
    assert list(zip(-best, found, strict=True)) == expected


@given(SEEDS, st.integers(0, 60), st.integers(1, 5), st.integers(1, 9))
def test_ranking_per_query_equals_one_by_one(seed, n_items, n_queries, width):
    """Ranking a ragged batch is ranking each query."""
    rng = np.random.default_rng(seed)
    query_of = rng.integers(0, n_queries, n_items)
    items, scores = rng.permutation(n_items), rng.integers(0, 4, n_items).astype(np.float32)
    positions = ranked_per_query(query_of, items, scores, width)

    for query in range(n_queries):
        mine = query_of == query
        expected = top_k(items[mine], scores[mine], width)[0].tolist()
        assert items[positions[query_of[positions] == query]].tolist() == expected
    assert (np.diff(query_of[positions]) >= 0).all()


def test_group_ranks_of_nothing():
    """No elements have no ranks."""
    assert group_ranks(np.empty(0, np.int64)).tolist() == []


@given(SEEDS, st.integers(1, 4), st.integers(1, 6))
def test_beams_keep_the_best(seed, n_queries, width):
    """After any batches, the worst kept is the ``width``-th best of all, or nothing yet."""
    rng = np.random.default_rng(seed)
    beams = Beams(n_queries, width)
    everything: list[list[float]] = [[] for _ in range(n_queries)]
    for _ in range(4):
        query_of = np.sort(rng.integers(0, n_queries, rng.integers(0, 9)))
        scores = rng.integers(-5, 5, len(query_of)).astype(np.float32)
        beams.add(query_of, scores)
        for query, score in zip(query_of, scores, strict=True):
            everything[query].append(float(score))

    padded = [sorted([*scores, *[-np.inf] * width], reverse=True) for scores in everything]
    assert beams.worst.tolist() == [scores[width - 1] for scores in padded]
    for k in range(1, width + 1):
        assert beams.kth_best(k).tolist() == [scores[k - 1] for scores in padded]


@given(SEEDS)
def test_marks_equal_a_set(seed):
    """Claiming gives each key once per search, over many searches and a growing size."""
    rng = np.random.default_rng(seed)
    marks = Workspace()
    for n_cells in (5, 30, 10, 30):
        marks.begin(n_cells)
        seen: set[int] = set()
        for _ in range(4):
            keys = rng.integers(0, n_cells, rng.integers(0, 20))
            claimed = marks.claim(keys).tolist()
            assert len(claimed) == len(set(claimed))
            assert set(claimed) == set(keys.tolist()) - seen
            seen |= set(claimed)


def test_marks_start_anew_before_numbers_run_out():
    """Near the largest stamp everything is cleared once, and blocks are forgotten too."""
    marks = Workspace()
    marks.begin(4)
    marks.claim(np.arange(4))
    marks.block(np.array([1]))
    marks._base = 2**30
    marks.begin(4)

    assert marks.is_blocked(np.arange(4)).tolist() == [False] * 4
    assert marks.claim(np.arange(4)).tolist() == [0, 1, 2, 3]
    assert marks._base < 100


def test_blocks_last_one_search():
    """What one search may not return, the next may."""
    marks = Workspace()
    marks.begin(4)
    marks.block(np.array([2]))
    assert marks.is_blocked(np.array([1, 2])).tolist() == [False, True]
    marks.begin(4)

    assert marks.is_blocked(np.array([1, 2])).tolist() == [False, False]


class OddProxy(DotScorer):
    def proxy(self, state):
        return np.full((len(state), 7), np.nan, np.float32)


def test_a_wrong_proxy_is_refused():
    """Shape and values of the proxy are checked like scores."""
    vectors = np.ones((8, 1), np.float32)
    retriever = GraphRetriever(EIGHT, vectors)

    with pytest.raises(
        ContractError, match=r"proxy must be \(1, 1\) and within 1e\+30, it is \(1, 7\)"
    ):
        retriever.search(OddProxy(vectors), [Query(np.array([0]))], SearchOptions(mode=Mode.WALK))


def test_vectors_must_fit_the_graph():
    """A graph of other items is refused at once."""
    with pytest.raises(ContractError, match="3 vectors for a graph of 8 items"):
        GraphRetriever(EIGHT, np.ones((3, 1), np.float32))


def test_parts_add_up():
    """State, seed and score are what the clock says; the rest is bookkeeping."""
    clock = FakeClock()
    scorer = CountingScorer(DotScorer(np.ones((4, 1), np.float32)), clock, seconds_per_call=0.25)
    scoring = Scoring(scorer, [Query(np.array([0]))], clock, 4)
    scoring.score(np.zeros(2, np.int64), np.arange(2))
    clock.advance(0.5)

    assert scoring.parts_us() == {
        "state": 0,
        "seed": 0,
        "score": 250_000,
        "bookkeeping": 500_000,
    }


def test_one_large_round_sees_the_deadline():
    """40,000 candidates are three calls; the deadline comes in the second."""
    clock = FakeClock()
    scorer = CountingScorer(DotScorer(np.ones((4, 1), np.float32)), clock, seconds_per_call=1.0)
    scoring = Scoring(scorer, [Query(np.array([0]))], clock, 4, deadline_s=1.5)
    items = np.tile(np.arange(4), 10_000)

    assert len(scoring.score_in_time(np.zeros(40_000, np.int64), items)) == 2 * 16_384
    assert scoring.overdue


def test_a_cut_round_keeps_what_was_scored():
    """Seeds of three queries, a call each of 16,384: the third query has none left."""
    clock = FakeClock()
    vectors = np.ones((16_384, 1), np.float32)
    scorer = CountingScorer(DotScorer(vectors), clock, seconds_per_call=1.0)
    scoring = Scoring(scorer, [Query(np.array([0]))] * 3, clock, 16_384, deadline_s=1.5)
    plan = plan_search(SearchOptions(k=2, mode=Mode.WALK), SearchSettings(), 16_384)
    results = rescore(scoring, [np.arange(16_384)] * 3, plan, [StopReason.ROUNDS] * 3)

    assert [result.work.n_scored for result in results] == [16_384, 16_384, 0]
    assert [len(result.item_nums) for result in results] == [2, 2, 0]
    assert {result.work.stopped_by for result in results} == {StopReason.DEADLINE}


def test_exhaustive_scores_in_chunks_until_the_deadline():
    """Ten items in chunks of four, a second each: the deadline leaves the first eight."""
    clock = FakeClock()
    vectors = np.ones((10, 1), np.float32)
    retriever = ExhaustiveRetriever(vectors, SearchSettings(chunk_items=4), clock=clock)
    table = np.arange(10, dtype=np.float32)[None, :]
    scorer = CountingScorer(TableScorer(table), clock, seconds_per_call=1.0)
    result = retriever.search(scorer, [Query(np.array([0]))], SearchOptions(k=3, deadline_s=1.5))[0]

    assert [len(call[1]) for call in scorer.calls] == [4, 4]
    assert result.item_nums.tolist() == [7, 6, 5]
    assert result.work.stopped_by is StopReason.DEADLINE
    assert result.work.n_scored == 8


def test_exhaustive_spends_a_budget_on_the_proxys_best():
    """Under ``max_scored`` the proxy chooses what is scored; without one, the first items."""
    vectors = np.array([[1.0], [3.0], [2.0], [5.0]], np.float32)
    retriever = ExhaustiveRetriever(vectors)
    options = SearchOptions(k=4, max_scored=2)
    query = [Query(np.array([0]))]
    by_proxy = retriever.search(DotScorer(vectors), query, options)[0]
    without = retriever.search(CountingScorer(DotScorer(vectors)), query, options)[0]

    assert by_proxy.item_nums.tolist() == [3, 1]
    assert by_proxy.work.n_proxy_scored == 4
    assert without.item_nums.tolist() == [1, 0]
    assert without.work.stopped_by is StopReason.BUDGET


def test_exhaustive_with_nothing_allowed():
    """When all items are excluded the answer is empty and complete."""
    vectors = np.ones((3, 1), np.float32)
    options = SearchOptions(excluded=(np.arange(3),))
    scorer = DotScorer(vectors)
    result = ExhaustiveRetriever(vectors).search(scorer, [Query(np.array([0]))], options)[0]

    assert len(result.item_nums) == 0
    assert result.work.stopped_by is StopReason.COMPLETE
