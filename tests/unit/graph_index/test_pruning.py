"""A pruned walk scores fewer items, and loses nothing where its guesses are right."""

import numpy as np
import pytest

from graph_index.backends.graph_gradient import GradientRetriever
from graph_index.build import BuildSettings, build_graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.contracts.index import GradientScorer, Mode, Query, SearchOptions
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import CountingScorer, clustered_vectors

VECTORS = clustered_vectors(2000, size=16, n_clusters=40)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=16))
QUERIES = [Query(np.array([row, row + 40, row + 80])) for row in range(12)]
OPTIONS = SearchOptions(k=20, mode=Mode.WALK, beam_width=40, entry_width=10, proxy_seeds=0)


class SlopeScorer(DotScorer):
    """A dot product that shows its derivative and hides that it is a proxy."""

    proxy = None

    def gradient(self, state, query_of, item_nums):
        return state[query_of]


def work_of(retriever, scorer, keep_percent):
    opened = retriever.from_graph(GRAPH, VECTORS, SearchSettings(keep_percent=keep_percent))
    results = opened.search(scorer, QUERIES, OPTIONS)
    return results, np.mean([result.work.n_scored for result in results])


@pytest.mark.parametrize(
    ("retriever", "scorer"),
    [(GraphRetriever, DotScorer(VECTORS)), (GradientRetriever, SlopeScorer(VECTORS))],
)
def test_a_true_guess_finds_the_same_for_less(retriever, scorer):
    """Of a dot product both slopes guess exactly, so the neighbours left out could not have paid."""
    full, cost = work_of(retriever, scorer, 100)
    pruned, less = work_of(retriever, scorer, 40)
    same = [np.isin(a.item_nums, b.item_nums).mean() for a, b in zip(full, pruned, strict=True)]

    assert np.mean(same) > 0.99
    assert less < 0.9 * cost


def test_without_a_slope_nothing_is_pruned():
    """A scorer with neither proxy nor derivative gets the plain walk."""
    scorer = CountingScorer(DotScorer(VECTORS))

    assert not isinstance(scorer, GradientScorer)
    for retriever in (GraphRetriever, GradientRetriever):
        assert work_of(retriever, scorer, 30)[1] == work_of(retriever, scorer, 100)[1]
