"""The published scorers satisfy the contract they stand in for."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vizsla.contracts.index import ProxyScorer, Query
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.planted import planted
from vizsla.testing.scorers import DotScorer, MlpScorer

VECTORS = planted().vectors()
SCORERS = [DotScorer(VECTORS), MlpScorer(VECTORS)]


def query(*history):
    return Query(np.array(history, np.int64))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_it_is_a_proxy_scorer(scorer):
    """Structurally, as the walk will check."""
    assert isinstance(scorer, ProxyScorer)
    assert scorer.n_items == 60


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_score_does_not_depend_on_the_rest_of_the_batch(scorer, data):
    """Bit for bit the same alone and in company."""
    histories = data.draw(
        st.lists(st.lists(st.integers(0, 59), max_size=5), min_size=1, max_size=4)
    )
    queries = [query(*history) for history in histories]
    pairs = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(queries) - 1), st.integers(0, 59)),
            min_size=1,
            max_size=20,
            unique=True,
        )
    )
    query_of, items = np.array(sorted(pairs)).T
    together = scorer.score(scorer.user_state(queries), query_of, items)

    assert together.dtype == np.float32
    for row, item, score in zip(query_of, items, together, strict=True):
        state = scorer.user_state([queries[row]])
        alone = scorer.score(state, np.zeros(1, np.int64), np.array([item]))
        assert alone[0] == score


def test_without_its_deep_part_the_network_is_the_dot_product():
    """``strength=0`` makes the proxy exact."""
    scorer = MlpScorer(VECTORS, strength=0)
    state = scorer.user_state([query(1, 2)])
    scores = scorer.score(state, np.zeros(60, np.int64), np.arange(60))

    assert np.allclose(scores, VECTORS @ scorer.proxy(state)[0], atol=1e-6)


def test_planted_users_get_their_own_cluster():
    """The known answer: the best items of a user are of the user's cluster."""
    data = planted()
    scorer = DotScorer(data.vectors())
    state = scorer.user_state([Query(history) for history in data.histories()])
    for user, cluster in enumerate(data.user_clusters):
        scores = scorer.score(state[[user]], np.zeros(60, np.int64), np.arange(60))
        assert set(data.item_clusters[np.argsort(-scores)[:15]]) == {cluster}


def test_the_tiny_bundles_golden_request_is_met(tmp_path):
    """``DotScorer`` is the model of ``tiny_bundle``."""
    bundle = tiny_bundle(tmp_path)
    scorer = DotScorer(bundle.item_vectors())
    golden = bundle.golden()[0]
    state = scorer.user_state([Query(bundle.vocabulary.nums(golden.history))])
    items = bundle.vocabulary.nums(golden.item_ids)
    scores = scorer.score(state, np.zeros(len(items), np.int64), items)

    assert np.allclose(scores, golden.scores, rtol=1e-4, atol=1e-4)
