"""The scorer gives the matcher's own scores, whatever it folds; loading gives the same scorer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vizsla.contracts.index import ProxyScorer, Query
from vizsla.contracts.tables import tables_of
from vizsla.errors import IncompatibleArtifactError, UnknownNameError
from vizsla.models import MODELS
from vizsla.models.recommender.base import SequenceBatch
from vizsla.models.recommender.loading import (
    build_matcher,
    load_matcher,
    load_scorer,
    load_weights,
    matcher_weights,
)
from vizsla.models.recommender.scorer import TorchScorer
from vizsla.rng import torch_generator

CONFIG = {
    "n_items": 40, "embedding_size": 8, "max_history": 6, "item_feature_sizes": (3,), "user_feature_sizes": (2,)
}  # fmt: skip
HISTORIES = [[1, 2, 3], [], [7, 30, 8, 9, 11, 12, 13, 14]]


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


@pytest.fixture
def matcher(name):
    matcher = build_matcher(name, CONFIG)
    matcher.reset_parameters(torch_generator(0, "init"))
    matcher.set_item_features(np.arange(40)[:, None] % 4)
    with torch.no_grad():
        for parameter in matcher.parameters():
            noise = torch.randn(parameter.shape, generator=torch_generator(1, "noise"))
            parameter.add_(0.2 * noise)
    return matcher.eval()


def queries():
    return [Query(np.array(h, np.int64), np.array([1])) for h in HISTORIES]


def plain_scores(matcher, history):
    nums = torch.tensor([history[-6:] or [-1]])
    state = matcher.final_states(SequenceBatch(nums, torch.tensor([[1]])))
    return matcher.scores(state, matcher.item_vectors())[0].detach().numpy()


def all_pairs(n_queries):
    return np.repeat(np.arange(n_queries), 40), np.tile(np.arange(40), n_queries)


def test_scorer_is_a_proxy_scorer(matcher):
    assert isinstance(TorchScorer(matcher), ProxyScorer)


def test_scores_equal_the_plain_forward(matcher):
    """Precomputed tables and folded users change nothing beyond float rounding."""
    scorer = TorchScorer(matcher)
    scores = scorer.score(scorer.user_state(queries()), *all_pairs(3)).reshape(3, 40)

    for row, history in enumerate(HISTORIES):
        np.testing.assert_allclose(scores[row], plain_scores(matcher, history), atol=1e-5)


def on_device(scorer, item_nums, device="cpu"):
    """Scores of the same candidates for every query, by the scorer's stand-in on a device."""
    there = scorer.on_device(device)
    asked = item_nums.expand(3, -1).to(device)
    with torch.inference_mode():
        return there.scores(there.user_state(queries()), asked).cpu().numpy()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_scores_on_a_device_are_the_scorers(matcher, dtype, device):
    """Batched products over tables in any type give what the folded users give one by one."""
    tables = tables_of(TorchScorer(matcher).tables.arrays, dtype)
    scorer = TorchScorer(matcher, tables=tables)
    expected = scorer.score(scorer.user_state(queries()), *all_pairs(3)).reshape(3, 40)

    scores = on_device(scorer, torch.arange(40), device)

    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_device_takes_no_item_and_gives_the_proxy(matcher):
    """The number N asks for nothing; proxy and item vectors are the scorer's own."""
    scorer = TorchScorer(matcher)
    there = scorer.on_device("cpu")
    scores = on_device(scorer, torch.tensor([40, 3, 40]))

    np.testing.assert_allclose(scores[:, 1:2], on_device(scorer, torch.tensor([3])), atol=1e-5)
    np.testing.assert_allclose(
        there.proxy(there.user_state(queries())).numpy(),
        scorer.proxy(scorer.user_state(queries())),
        atol=1e-6,
    )
    np.testing.assert_array_equal(there.item_vectors(5, 9).numpy(), scorer.item_vectors[5:9])
    assert scorer.on_device("cpu") is there


def test_compiled_scores_equal_those_of_torch(matcher):
    """Whatever is compiled gives what the matcher's own folded scores give."""
    compiled, plain = TorchScorer(matcher), TorchScorer(matcher, compiled=False)

    np.testing.assert_allclose(
        compiled.score(compiled.user_state(queries()), *all_pairs(3)),
        plain.score(plain.user_state(queries()), *all_pairs(3)),
        atol=1e-5,
    )


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 0.1), ("int8", 0.3)])
@pytest.mark.parametrize("compiled", [True, False])
def test_narrow_tables_give_nearly_the_same_scores(matcher, dtype, error, compiled):
    """Compiled or not, a type's own rounding is all that changes."""
    exact = TorchScorer(matcher)
    tables = tables_of(exact.tables.arrays, dtype)
    scorer = TorchScorer(matcher, tables=tables, compiled=compiled)
    scores = scorer.score(scorer.user_state(queries()), *all_pairs(3))
    expected = exact.score(exact.user_state(queries()), *all_pairs(3))

    assert np.abs(scores - expected).max() < error * np.abs(expected).max()
    np.testing.assert_allclose(
        scores,
        TorchScorer(matcher, tables=tables, compiled=not compiled).score(
            TorchScorer(matcher, compiled=not compiled).user_state(queries()), *all_pairs(3)
        ),
        atol=1e-4,
    )


def test_items_may_be_their_columns_alone(name):
    """Without ids, items with equal columns are equal, and the weights have no row per item."""
    matcher = build_matcher(name, CONFIG | {"item_ids": False, "context": "tied"})
    matcher.reset_parameters(torch_generator(0, "init"))
    matcher.set_item_features(np.arange(40)[:, None] % 4)
    vectors = matcher.all_item_vectors()

    torch.testing.assert_close(vectors[1], vectors[5])
    assert all(len(weight) != 40 for weight in matcher.parameters() if weight.dim())


def test_ids_are_needed_where_there_are_no_columns():
    with pytest.raises(IncompatibleArtifactError, match="item_ids"):
        build_matcher("nann", {"n_items": 3, "item_ids": False})


def test_scores_do_not_depend_on_the_batch(matcher):
    scorer = TorchScorer(matcher)
    together = scorer.score(scorer.user_state(queries()), *all_pairs(3)).reshape(3, 40)

    for row, query in enumerate(queries()):
        alone = scorer.score(scorer.user_state([query]), *all_pairs(1))
        np.testing.assert_allclose(alone, together[row], atol=1e-5)


def test_ragged_batches_may_leave_a_query_out(matcher):
    """A query without candidates takes no part and moves nobody's scores."""
    scorer = TorchScorer(matcher)
    state = scorer.user_state(queries())
    scores = scorer.score(state, np.array([0, 2, 2]), np.array([5, 5, 6]))

    assert scores[0] == pytest.approx(plain_scores(matcher, HISTORIES[0])[5], abs=1e-5)
    assert scores[2] == pytest.approx(plain_scores(matcher, HISTORIES[2])[6], abs=1e-5)


def test_proxy_dot_product_is_the_two_sided_score(matcher):
    scorer = TorchScorer(matcher)
    state = scorer.user_state(queries())
    expected = matcher.two_sided_scores(state.state, matcher.item_vectors()).detach().numpy()

    np.testing.assert_allclose(
        scorer.proxy(state) @ scorer.item_vectors.T, expected, rtol=1e-4, atol=1e-4
    )


def test_unknown_history_items_count_as_absent(matcher):
    scorer = TorchScorer(matcher)
    with_unknown = scorer.user_state([Query(np.array([1, -1, 2]), np.array([1]))])
    without = scorer.user_state([Query(np.array([1, 2]), np.array([1]))])

    np.testing.assert_allclose(
        scorer.score(with_unknown, *all_pairs(1)),
        scorer.score(without, *all_pairs(1)),
        atol=1e-5,
    )


def test_saved_weights_give_the_same_scorer(name, matcher):
    """Weights and side features survive the way through arrays."""
    config = matcher.config.model_dump(mode="json")
    loaded = load_scorer(name, config, matcher_weights(matcher))
    scorer = TorchScorer(matcher)

    np.testing.assert_array_equal(
        loaded.score(loaded.user_state(queries()), *all_pairs(3)),
        scorer.score(scorer.user_state(queries()), *all_pairs(3)),
    )


def test_config_survives_json(matcher):
    config = type(matcher).Config
    settings = matcher.config

    assert config.model_validate_json(settings.model_dump_json()) == settings


def test_missing_tensor_is_refused_by_name(matcher):
    weights = matcher_weights(matcher)
    first = min(weights)
    del weights[first]

    with pytest.raises(IncompatibleArtifactError, match=f"tensor '{first}'"):
        load_weights(matcher, weights)


def test_wrong_shape_is_refused_by_name(name, matcher):
    weights = matcher_weights(matcher)

    with pytest.raises(IncompatibleArtifactError, match="expected"):
        load_matcher(name, {**CONFIG, "n_items": 41}, weights)


def test_unknown_model_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'nann'"):
        build_matcher("nan", {})


def test_wrong_setting_is_named():
    with pytest.raises(IncompatibleArtifactError, match="temperature"):
        build_matcher("nann", {"n_items": 3, "temperature": -1})
