"""Conformance suite of retrievers.

For any class that implements ``Retriever``::

    @pytest.mark.parametrize("check", RETRIEVER_CHECKS)
    def test_conforms(check):
        RETRIEVER_CHECKS[check](lambda item_vectors, clock: MyRetriever(item_vectors, clock=clock))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from vizsla.clock import Clock, FakeClock
from vizsla.contracts.index import (
    Mode,
    Query,
    Retriever,
    Scorer,
    SearchOptions,
    SearchResult,
    StopReason,
)
from vizsla.errors import ContractError
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import DotScorer, MlpScorer
from vizsla.testing.search_scorers import (
    BrokenScorer,
    CountingScorer,
    DistanceScorer,
    TableScorer,
    clustered_vectors,
)

__all__ = [
    "RETRIEVER_CHECKS",
    "OpenRetriever",
    "same_results",
]

OpenRetriever = Callable[[NDArray[np.float32], Clock], Retriever]
"""Makes the retriever under test over ``(N, D)`` item vectors, with the clock it must use."""


def same_results(left: SearchResult, right: SearchResult) -> bool:
    """Return whether two results have the same items with the same scores, in the same order."""
    return bool(
        np.array_equal(left.item_nums, right.item_nums)
        and np.array_equal(left.scores, right.scores)
    )


_MODES = (Mode.WALK, Mode.EXHAUSTIVE, Mode.AUTO)
_N_ITEMS = 300
_VECTORS = clustered_vectors(_N_ITEMS)


def _queries(n_queries: int) -> list[Query]:
    rng = numpy_generator(0, "suite queries")
    return [Query(rng.integers(0, _N_ITEMS, size=5)) for _ in range(n_queries)]


def _expect(truth: bool, what: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not truth:
        raise AssertionError(what)


def _finds_the_nearest(open_retriever: OpenRetriever) -> None:
    """Under minus the distance, at least 99 of 100 of the true ten nearest are found."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), DistanceScorer(_VECTORS)
    queries = _queries(20)
    truth = retriever.search(scorer, queries, SearchOptions(k=10, mode=Mode.EXHAUSTIVE))
    for mode in _MODES:
        found = retriever.search(scorer, queries, SearchOptions(k=10, mode=mode))
        hits = [np.isin(a.item_nums, b.item_nums).mean() for a, b in zip(found, truth, strict=True)]
        _expect(float(np.mean(hits)) >= 0.99, f"{mode}: recall {np.mean(hits)}")


def _answers_are_ordered(open_retriever: OpenRetriever) -> None:
    """Scores fall, ties go to the smaller item number, and dtypes are the contract's."""
    table = numpy_generator(0, "suite ties").integers(0, 3, size=(4, _N_ITEMS))
    scorer = TableScorer(table.astype(np.float32))
    queries = [Query(np.array([row])) for row in range(4)]
    for mode in _MODES:
        for result in open_retriever(_VECTORS, FakeClock()).search(
            scorer, queries, SearchOptions(k=40, mode=mode)
        ):
            pairs = list(zip(-result.scores, result.item_nums, strict=True))
            _expect(pairs == sorted(pairs), f"{mode}: not best first, ties to the smaller")
            _expect(len({item for _, item in pairs}) == 40, f"{mode}: not 40 distinct items")
            _expect(result.item_nums.dtype == np.int64, "item_nums must be int64")
            _expect(result.scores.dtype == np.float32, "scores must be float32")


def _scores_are_the_scorers(open_retriever: OpenRetriever) -> None:
    """The scores in the answer are what the scorer gives for those items."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    queries = _queries(3)
    for mode in _MODES:
        found = retriever.search(scorer, queries, SearchOptions(k=20, mode=mode))
        for query, result in zip(queries, found, strict=True):
            state = scorer.user_state([query])
            direct = scorer.score(state, np.zeros(20, np.int64), result.item_nums)
            _expect(np.array_equal(direct, result.scores), f"{mode}: other scores")


def _scores_once_and_counts(open_retriever: OpenRetriever) -> None:
    """No item is scored twice for a query, and the work reported is the work done."""
    queries = _queries(3)
    for mode in _MODES:
        scorer = CountingScorer(MlpScorer(_VECTORS))
        results = open_retriever(_VECTORS, FakeClock()).search(
            scorer, queries, SearchOptions(k=10, mode=mode)
        )
        times = scorer.scored()
        _expect(int(times.max()) == 1, f"{mode}: an item was scored twice")
        counted = [result.work.n_scored for result in results]
        _expect(counted == times.sum(axis=1).tolist(), f"{mode}: n_scored is {counted}")
        _expect(all(r.work.mode in (Mode.WALK, Mode.EXHAUSTIVE) for r in results), "mode")


def _asks_in_ascending_order(open_retriever: OpenRetriever) -> None:
    """``query_of`` ascends in every call, as scorers may rely on."""
    scorer = CountingScorer(MlpScorer(_VECTORS))
    retriever = open_retriever(_VECTORS, FakeClock())
    for mode in _MODES:
        retriever.search(scorer, _queries(4), SearchOptions(k=10, mode=mode))
    for query_of, item_nums in scorer.calls:
        _expect(bool((np.diff(query_of) >= 0).all()), "query_of does not ascend")
        _expect(len(query_of) == len(item_nums) > 0, "an empty or uneven call")


def _batch_changes_nothing(open_retriever: OpenRetriever) -> None:
    """A query's answer does not depend on what else is in the batch, or on its place."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    queries = _queries(7)
    for mode in _MODES:
        options = SearchOptions(k=15, mode=mode)
        together = retriever.search(scorer, queries, options)
        reverse = retriever.search(scorer, queries[::-1], options)[::-1]
        alone = [retriever.search(scorer, [query], options)[0] for query in queries]
        for one, two, three in zip(together, reverse, alone, strict=True):
            _expect(same_results(one, two) and same_results(one, three), f"{mode}: differs")
            _expect(one.work.n_scored == three.work.n_scored, f"{mode}: other work")


def _excluded_stay_out(open_retriever: OpenRetriever) -> None:
    """Excluded items never come back, only for their own query, and ``k`` is still filled."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    queries = _queries(2)
    for mode in _MODES:
        free = retriever.search(scorer, queries, SearchOptions(k=30, mode=mode))
        excluded = (free[0].item_nums, np.empty(0, np.int64))
        options = SearchOptions(k=30, mode=mode, excluded=excluded)
        found = retriever.search(scorer, queries, options)
        _expect(not np.isin(found[0].item_nums, excluded[0]).any(), f"{mode}: excluded returned")
        _expect(len(found[0].item_nums) == 30, f"{mode}: not filled")
        _expect(same_results(found[1], free[1]), f"{mode}: another query's exclusions count")


def _filters_hold(open_retriever: OpenRetriever) -> None:
    """Only allowed items come back, each query's own, and as many as there are up to ``k``."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    queries, rng = _queries(4), numpy_generator(0, "suite filters")
    few, half = rng.random(_N_ITEMS) < 0.05, rng.random(_N_ITEMS) < 0.5
    allowed = (few, None, half, np.zeros(_N_ITEMS, np.bool_))
    for mode in _MODES:
        options = SearchOptions(k=30, mode=mode, allowed=allowed)
        found = retriever.search(scorer, queries, options)
        _expect(found[0].item_nums.tolist() != [], f"{mode}: nothing found")
        _expect(sorted(found[0].item_nums) == np.flatnonzero(few).tolist(), f"{mode}: not all")
        _expect(len(found[2].item_nums) == 30, f"{mode}: not filled")
        _expect(bool(half[found[2].item_nums].all()), f"{mode}: an item that is not allowed")
        _expect(len(found[3].item_nums) == 0, f"{mode}: nothing is allowed")
        free = retriever.search(scorer, [queries[1]], SearchOptions(k=30, mode=mode))[0]
        _expect(same_results(found[1], free), f"{mode}: another query's filter counts")


def _k_beyond_the_catalogue(open_retriever: OpenRetriever) -> None:
    """``k`` above the number of items that may be returned gives all of them."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    for mode in _MODES:
        options = SearchOptions(k=10_000, mode=mode, excluded=(np.arange(10),))
        found = retriever.search(scorer, _queries(1), options)[0]
        _expect(sorted(found.item_nums) == list(range(10, _N_ITEMS)), f"{mode}: not all")


def _keeps_the_budget(open_retriever: OpenRetriever) -> None:
    """At most ``max_scored`` items are scored, and the answer says that it ended there."""
    retriever = open_retriever(_VECTORS, FakeClock())
    for scorer in (MlpScorer(_VECTORS), CountingScorer(MlpScorer(_VECTORS))):
        for mode in _MODES:
            options = SearchOptions(k=5, mode=mode, max_scored=20)
            for result in retriever.search(scorer, _queries(3), options):
                _expect(result.work.n_scored <= 20, f"{mode}: {result.work.n_scored} scored")
                _expect(result.work.stopped_by is StopReason.BUDGET, f"{mode}: reason")
                _expect(len(result.item_nums) == 5, f"{mode}: not the best so far")


def _keeps_the_deadline(open_retriever: OpenRetriever) -> None:
    """No call starts after the deadline; what was found before it is the answer."""
    for mode in _MODES:
        for deadline_s, n_calls, n_results in ((100.0, 0, 0), (100.5, 1, 5)):
            clock = FakeClock(100.0)
            scorer = CountingScorer(MlpScorer(_VECTORS), clock, seconds_per_call=1.0)
            options = SearchOptions(k=5, mode=mode, deadline_s=deadline_s)
            result = open_retriever(_VECTORS, clock).search(scorer, _queries(1), options)[0]
            _expect(len(scorer.calls) == n_calls, f"{mode}: {len(scorer.calls)} calls")
            _expect(len(result.item_nums) == n_results, f"{mode}: not the best so far")
            late = result.work.stopped_by is StopReason.DEADLINE
            _expect(late or result.work.n_scored == _N_ITEMS, f"{mode}: reason")


def _refuses_a_broken_scorer(open_retriever: OpenRetriever) -> None:
    """A NaN, an infinity, a wrong length or another catalogue is a ``ContractError``."""
    broken: list[Scorer] = [
        BrokenScorer(_VECTORS, lambda scores: np.where(scores > 0, np.float32(np.nan), scores)),
        BrokenScorer(_VECTORS, lambda scores: np.where(scores > 0, np.float32(np.inf), scores)),
        BrokenScorer(_VECTORS, lambda scores: scores[1:]),
        DotScorer(_VECTORS[1:]),
    ]
    retriever = open_retriever(_VECTORS, FakeClock())
    for scorer in broken:
        for mode in _MODES:
            _refuses(retriever, scorer, SearchOptions(k=5, mode=mode))


def _refuses_wrong_options(open_retriever: OpenRetriever) -> None:
    """Options that cannot be meant are a ``ContractError``, not an odd answer."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), DotScorer(_VECTORS)
    nothing = np.empty(0, np.int64)
    for options in (
        SearchOptions(k=0),
        SearchOptions(beam_width=0),
        SearchOptions(max_scored=0),
        SearchOptions(max_rounds=-1),
        SearchOptions(excluded=(nothing, nothing)),
        SearchOptions(excluded=(np.array([_N_ITEMS]),)),
        SearchOptions(excluded=(np.array([-1]),)),
        SearchOptions(allowed=(None, None)),
        SearchOptions(allowed=(np.ones(_N_ITEMS - 1, np.bool_),)),
    ):
        _refuses(retriever, scorer, options)


def _refuses(retriever: Retriever, scorer: Scorer, options: SearchOptions) -> None:
    try:
        retriever.search(scorer, _queries(1), options)
    except ContractError:
        return
    raise AssertionError(f"{type(scorer).__name__} with {options} was not refused")


def _small_cases(open_retriever: OpenRetriever) -> None:
    """No query gives no result; one item and all-equal items are catalogues too."""
    one, equal = np.ones((1, 4), np.float32), np.ones((50, 4), np.float32)
    for mode in _MODES:
        retriever, scorer = open_retriever(one, FakeClock()), MlpScorer(one)
        _expect(retriever.search(scorer, [], SearchOptions(mode=mode)) == [], "empty batch")
        query = Query(np.empty(0, np.int64))
        found = retriever.search(scorer, [query], SearchOptions(k=3, mode=mode))[0]
        _expect(found.item_nums.tolist() == [0], f"{mode}: one item")
        retriever = open_retriever(equal, FakeClock())
        found = retriever.search(MlpScorer(equal), [query], SearchOptions(k=50, mode=mode))[0]
        _expect(found.item_nums.tolist() == list(range(50)), f"{mode}: equal items")


def _threads_share_nothing(open_retriever: OpenRetriever) -> None:
    """Searches at the same time give the answers of searches one after another."""
    retriever, scorer = open_retriever(_VECTORS, FakeClock()), MlpScorer(_VECTORS)
    options = SearchOptions(k=10, mode=Mode.WALK)
    batches = [_queries(8)[start : start + 2] for start in (0, 2, 4, 6)] * 4
    expected = [retriever.search(scorer, batch, options) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: retriever.search(scorer, batch, options), batches))
    pairs = zip(chain(*expected), chain(*found), strict=True)
    for one, two in pairs:
        _expect(same_results(one, two), "another answer beside other threads")


RETRIEVER_CHECKS: Mapping[str, Callable[[OpenRetriever], None]] = {
    check.__name__.strip("_"): check
    for check in (
        _finds_the_nearest,
        _answers_are_ordered,
        _scores_are_the_scorers,
        _scores_once_and_counts,
        _asks_in_ascending_order,
        _batch_changes_nothing,
        _excluded_stay_out,
        _filters_hold,
        _k_beyond_the_catalogue,
        _keeps_the_budget,
        _keeps_the_deadline,
        _refuses_a_broken_scorer,
        _refuses_wrong_options,
        _small_cases,
        _threads_share_nothing,
    )
}
"""Name to a check that raises ``AssertionError`` with what is wrong."""
