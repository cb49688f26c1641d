"""Component-wise retrieval with a bound gives the exact answer for fewer scores."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from graph_index.backends.rails import RailsRetriever
from graph_index.build import BuildSettings, build_graph
from graph_index.settings import SearchSettings
from vizsla.contracts.index import ComponentScorer, Mode, Query, SearchOptions, StopReason
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import clustered_vectors

N_ITEMS = 400
VECTORS = clustered_vectors(N_ITEMS)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=8))


class MixtureScorer(DotScorer):
    """The proxy plus a gated mean of four products of random components."""

    def __init__(self, weight, seed=0):
        super().__init__(VECTORS)
        rng = numpy_generator(seed, "mixture")
        self.item_components = rng.normal(size=(N_ITEMS, 2, 4)).astype(np.float32)
        self._of_user = weight * rng.normal(size=(8, 2, 4)).astype(np.float32)
        self._gates = rng.dirichlet(np.full(4, 0.3), N_ITEMS).astype(np.float32)

    def components(self, state):
        return np.einsum("bd,dis->bis", state, self._of_user)

    def score(self, state, query_of, item_nums):
        users = self.components(state)[query_of]
        logits = np.einsum("cis,cjs->cij", users, self.item_components[item_nums])
        mixed = (self._gates[item_nums] * logits.reshape(len(logits), 4)).sum(axis=1)
        return (super().score(state, query_of, item_nums) + mixed).astype(np.float32)


def search(scorer, options, **changes):
    retriever = RailsRetriever.from_graph(GRAPH, VECTORS, SearchSettings(**changes))
    return retriever.search(scorer, [Query(np.array([3, 40])), Query(np.array([7]))], options)


@settings(max_examples=30)
@given(
    weight=st.floats(-4, 4),
    seed=st.integers(0, 9),
    k=st.integers(1, 60),
    n_first=st.integers(1, 100),
)
def test_the_answer_is_exact_whatever_the_mixture(weight, seed, k, n_first):
    """Weights of either sign, any gates, any number of first candidates."""
    scorer = MixtureScorer(weight, seed)
    found = search(scorer, SearchOptions(k=k, mode=Mode.WALK, proxy_seeds=n_first))
    truth = search(scorer, SearchOptions(k=k, mode=Mode.EXHAUSTIVE))

    for own, exact in zip(found, truth, strict=True):
        assert np.allclose(own.scores, exact.scores, atol=1e-5)
        assert own.work.stopped_by is StopReason.COMPLETE


def test_a_good_bound_saves_scores():
    """Where the mixture adds little, most items cannot reach the best."""
    assert isinstance(MixtureScorer(0.1), ComponentScorer)
    found = search(MixtureScorer(0.1), SearchOptions(k=10, mode=Mode.WALK, proxy_seeds=20))

    assert all(result.work.n_scored < N_ITEMS / 2 for result in found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"max_rounds": 0}, StopReason.ROUNDS), ({"max_scored": 25}, StopReason.BUDGET)],
)
def test_an_answer_that_was_cut_says_so(changes, reason):
    """Without the second step, or with a budget below it, it may not be exact."""
    options = SearchOptions(k=10, mode=Mode.WALK, proxy_seeds=20, **changes)
    for result in search(MixtureScorer(3.0), options):
        assert result.work.stopped_by is reason
        assert result.work.n_scored <= 25
