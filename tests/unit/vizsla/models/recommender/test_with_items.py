"""A scorer that is extended while it is in use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vizsla.contracts.index import Query, UpdatableScorer
from vizsla.contracts.tables import tables_of
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.loading import build_matcher, load_scorer, matcher_weights
from vizsla.models.recommender.mixture_of_logits import MixtureConfig
from vizsla.models.recommender.scorer import TorchScorer

UPDATED = {
    "nann": NannConfig(n_items=20, embedding_size=8, score_hidden=(8, 4), attention_hidden=8),
    "two_sided": NannConfig(n_items=20, embedding_size=8, context="tied"),
    "mixture_of_logits": MixtureConfig(n_items=20, embedding_size=8, component_size=4),
}


@pytest.mark.parametrize("name", UPDATED)
def test_an_added_item_scores_as_if_it_had_been_there(name):
    """An item put in with another's vector gets the other's scores, also from a history."""
    matcher = build_matcher(name, UPDATED[name].model_dump())
    matcher.reset_parameters(torch.Generator().manual_seed(0))
    scorer = TorchScorer(matcher)
    assert isinstance(scorer, UpdatableScorer)
    before = _all_scores(scorer, [3, 4])
    copies = np.array([7, 2, 9])
    longer = scorer.with_items(np.array([20, 21, 22]), scorer.item_vectors[copies])
    after = _all_scores(longer, [3, 4])

    assert longer.n_items == 23
    np.testing.assert_allclose(after[:20], before, atol=1e-6)
    np.testing.assert_allclose(after[20:], before[copies], atol=1e-6)
    np.testing.assert_allclose(
        _all_scores(longer, [21, 22]), _all_scores(longer, [2, 9]), atol=1e-5
    )
    np.testing.assert_allclose(_all_scores(scorer, [3, 4]), before)


def test_many_added_items_need_new_room_and_a_place_can_be_used_again():
    """Growth beyond the spare rows changes no score; an item in an old place has no past."""
    matcher = build_matcher("nann", UPDATED["nann"].model_dump())
    matcher.reset_parameters(torch.Generator().manual_seed(0))
    with torch.no_grad():
        matcher.contexts.weight.normal_(generator=torch.Generator().manual_seed(2))
    first = TorchScorer(matcher)
    vectors = functional.normalize(torch.randn(3000, 8, generator=torch.Generator().manual_seed(1)))
    scorer = first
    for start in range(0, 3000, 500):
        nums = np.arange(20 + start, 520 + start)
        scorer = scorer.with_items(nums, vectors.numpy()[start : start + 500])
    np.testing.assert_allclose(_all_scores(scorer, [5])[:20], _all_scores(first, [5]), atol=1e-5)
    again = scorer.with_items(np.array([5]), vectors.numpy()[:1])

    np.testing.assert_allclose(_all_scores(again, [5]), _all_scores(again, [20]), atol=1e-5)
    np.testing.assert_allclose(again.item_vectors[20:], vectors.numpy())


@pytest.mark.parametrize("name", UPDATED)
def test_a_matcher_over_a_table_is_stored_and_loaded_like_any_other(name):
    """Its configuration and weights alone give the same scores."""
    matcher = build_matcher(name, UPDATED[name].model_dump())
    matcher.reset_parameters(torch.Generator().manual_seed(0))
    rows = torch.tensor([4, 1, 19])
    table = torch.cat([matcher.all_item_vectors()[rows], torch.ones(1, 8)])
    fixed = matcher.with_fixed_items(table, torch.tensor([4, 1, 19, -1]))
    config = fixed.config.model_dump(mode="json")
    loaded = load_scorer(name, config, matcher_weights(fixed))

    assert loaded.n_items == 4
    np.testing.assert_allclose(
        _all_scores(loaded, [0, 1])[:3], _all_scores(TorchScorer(matcher), [4, 1])[rows], atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_added_items_are_stored_as_the_tables_are_and_score_the_same_compiled(dtype):
    """Compiled and plain scores agree for old and new items, and the mapped tables stay as they were."""
    matcher = build_matcher("nann", UPDATED["nann"].model_dump())
    generator = torch.Generator().manual_seed(0)
    matcher.reset_parameters(generator)
    with torch.no_grad():
        for parameter in matcher.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3, generator=generator)
        exact = [table.numpy() for table in matcher.item_tables()]
    tables = tables_of(exact, dtype)
    before = [array.copy() for array in tables.arrays]
    vectors = functional.normalize(torch.randn(4, 8, generator=generator)).numpy()
    grown = []
    for compiled in (True, False):
        scorer = TorchScorer(matcher, tables=tables, compiled=compiled)
        scorer = scorer.with_items(np.array([20, 21]), vectors[:2])
        grown.append(scorer.with_items(np.array([22, 7]), vectors[2:]))
    with torch.inference_mode():
        rows = [table.numpy() for table in matcher.tables_of(torch.from_numpy(vectors))]
    stored = tables_of(rows, dtype)

    assert (grown[0].tables.dtype, grown[0].n_items) == (dtype, 23)
    for history in ([3, 4], [20, 3, 22, 7]):
        np.testing.assert_allclose(*(_all_scores(one, history) for one in grown), atol=2e-5)
    for number in range(3):
        found = grown[0].tables.rows(number, np.array([20, 21, 22, 7]))
        np.testing.assert_allclose(found, stored.rows(number, slice(None)), atol=1e-6)
        np.testing.assert_array_equal(tables.arrays[number], before[number])


def test_items_without_an_embedding_of_their_own_can_grow():
    """A matcher that knows items by their columns alone goes on over a table."""
    config = {"n_items": 20, "embedding_size": 8, "item_ids": False, "item_feature_sizes": [5]}
    matcher = build_matcher("nann", config)
    matcher.reset_parameters(torch.Generator().manual_seed(0))
    matcher.set_item_features(np.arange(20)[:, None] % 5 + 1)
    scorer = TorchScorer(matcher)
    grown = scorer.with_items(np.array([20]), scorer.item_vectors[[3]])
    fixed = matcher.with_fixed_items(matcher.all_item_vectors(), torch.arange(20))
    loaded = load_scorer("nann", fixed.config.model_dump(mode="json"), matcher_weights(fixed))

    np.testing.assert_allclose(_all_scores(grown, [1, 20])[20], _all_scores(grown, [1, 3])[3])
    np.testing.assert_allclose(_all_scores(loaded, [1, 2]), _all_scores(scorer, [1, 2]), atol=1e-5)


def _all_scores(scorer, history):
    state = scorer.user_state([Query(np.array(history))])
    items = np.arange(scorer.n_items)
    return scorer.score(state, np.zeros(len(items), np.int64), items)


def test_added_items_are_known_on_a_device():
    """The extended scorer brings new tables there; the first one's stay as they were."""
    matcher = build_matcher("nann", UPDATED["nann"].model_dump())
    matcher.reset_parameters(torch.Generator().manual_seed(0))
    scorer = TorchScorer(matcher)
    before = _scores_on_device(scorer)
    longer = scorer.with_items(np.array([20]), scorer.item_vectors[7:8])
    after = _scores_on_device(longer)

    np.testing.assert_allclose(after[20], before[7], atol=1e-6)
    np.testing.assert_allclose(_scores_on_device(scorer), before)


def _scores_on_device(scorer):
    there = scorer.on_device("cpu")
    state = there.user_state([Query(np.array([3, 4]))])
    return there.scores(state, torch.arange(scorer.n_items)[None]).numpy()[0]
