"""A catalogue in shards answers like the whole: folded there, shipped as arrays, merged here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from graph_index.attach import build_index, open_retriever
from graph_index.settings import BuildSettings, SearchSettings
from graph_index.shards.build import shard_bundle
from serving.adapters.bundle_store import deep_scorer_loader, open_engine
from vizsla.bundles import load, write
from vizsla.clock import FakeClock
from vizsla.config import SearchSettings as SearchBounds
from vizsla.contracts.bundle import GoldenRequest, ModelRef
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.models.recommender.loading import build_matcher, matcher_scorer, matcher_weights
from vizsla.rng import numpy_generator, torch_generator
from vizsla.testing.bundles import tiny_parts

N_ITEMS, N_SHARDS = 600, 4
MODELS = {
    "nann": {"n_items": N_ITEMS, "embedding_size": 8, "user_feature_sizes": (3,)},
    "two_sided": {"n_items": N_ITEMS, "embedding_size": 8, "context": "residual"},
    "mixture_of_logits": {"n_items": N_ITEMS, "embedding_size": 8},
}
CASES = [("nann", "bfloat16"), ("nann", "int8"), *((model, None) for model in MODELS)]


def parts(model):
    """An untrained matcher with tables and a golden request."""
    matcher = build_matcher(model, MODELS[model])
    matcher.reset_parameters(torch_generator(0, "shards"))
    with torch.no_grad():
        for parameter in matcher.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.3, generator=torch_generator(1, "shards"))
    scorer = matcher_scorer(matcher)
    nums = np.arange(5)
    scores = scorer.score(scorer.user_state([Query(nums)]), np.zeros(5, np.int64), nums)
    ids = [f"item-{num}" for num in range(N_ITEMS)]
    return replace(
        tiny_parts(N_ITEMS),
        model=ModelRef(name=model, config=MODELS[model]),
        weights=matcher_weights(matcher),
        items=pa.table(
            {
                "item_num": np.arange(N_ITEMS),
                "item_id": ids,
                "n_interactions": np.arange(N_ITEMS),
                "genre": ["abcd"[num % 4] for num in range(N_ITEMS)],
            }
        ),
        item_vectors=scorer.item_vectors.copy(),
        tables=[np.array(table) for table in scorer.tables.arrays[1:]],
        golden=[GoldenRequest(history=ids[:5], item_ids=ids[:5], scores=scores.tolist())],
    )


@pytest.fixture(scope="module", params=CASES, ids=str)
def bundles(request, tmp_path_factory):
    model, dtype = request.param
    folder = tmp_path_factory.mktemp("bundles")
    settings = BuildSettings(max_degree=8, ef_construction=20, table_dtype=dtype)
    search = SearchSettings(exhaustive_below=0)
    made = write(folder, parts(model), FakeClock())
    whole = build_index(made, folder, settings, search=search, clock=FakeClock())
    return whole, shard_bundle(whole, folder, N_SHARDS, clock=FakeClock())


@pytest.fixture(scope="module")
def engine(bundles):
    """What serving opens; its golden requests were replayed."""
    return open_engine(bundles[1].path, SearchBounds(), deep_scorer_loader(1))


@pytest.fixture(scope="module")
def whole(bundles):
    return deep_scorer_loader(1)(bundles[0]), open_retriever(bundles[0])


def queries():
    rng = numpy_generator(0, "queries")
    lengths = (1, 60, 7, 0, 20)
    return [Query(rng.integers(0, N_ITEMS, n), np.array([n % 4])) for n in lengths]


def options(**further):
    """Every query has exclusions; all but the second a filter, two of them the same."""
    rng = numpy_generator(0, "options")
    few, half = rng.random(N_ITEMS) < 0.05, rng.random(N_ITEMS) < 0.5
    excluded = tuple(rng.choice(N_ITEMS, n, replace=False) for n in (0, 3, 200, 1, 9))
    return SearchOptions(k=50, excluded=excluded, allowed=(half, None, few, half, few), **further)


def test_exhaustive_answers_are_equal(engine, whole):
    """The same items with the very same scores, under exclusions and filters."""
    scorer, retriever = whole
    asked = options(mode=Mode.EXHAUSTIVE)
    expected = retriever.search(scorer, queries(), asked)
    found = engine.retriever.search(engine.scorer, queries(), asked)

    for one, two in zip(expected, found, strict=True):
        assert one.item_nums.tolist() == two.item_nums.tolist()
        np.testing.assert_allclose(two.scores, one.scores, rtol=1e-6, atol=1e-6)
        assert one.work.n_scored == two.work.n_scored
        assert two.missing == ()


def test_walks_find_what_an_exhaustive_search_finds(engine, whole):
    """Four walks in small graphs are no worse than one in a large one."""
    scorer, retriever = whole
    exact = retriever.search(scorer, queries(), options(mode=Mode.EXHAUSTIVE))
    found = engine.retriever.search(engine.scorer, queries(), options(mode=Mode.WALK))
    shares = [np.isin(a.item_nums, b.item_nums).mean() for a, b in zip(exact, found, strict=True)]

    assert np.mean(shares) > 0.95
    assert all(result.work.mode is Mode.WALK for result in found)


def test_the_coordinator_scores_items_from_the_weights(engine, whole):
    """The few that it is asked for itself, as when golden requests are replayed."""
    scorer, _ = whole
    query_of, nums = np.array([0, 0, 1, 4, 4]), np.array([5, 599, 5, 17, 0])
    expected = scorer.score(scorer.user_state(queries()), query_of, nums)
    found = engine.scorer.score(engine.scorer.user_state(queries()), query_of, nums)

    rounding = {"float32": 1e-5, "bfloat16": 0.03, "int8": 0.1}[scorer.tables.dtype]
    np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding)


def test_filters_are_about_the_whole_catalogue(engine):
    """A bitmap of the coordinator's attributes is cut for each shard."""
    genre = np.arange(N_ITEMS) % 4 == 2
    asked = SearchOptions(k=N_ITEMS, mode=Mode.EXHAUSTIVE, allowed=(genre,))
    (found,) = engine.retriever.search(engine.scorer, queries()[:1], asked)

    assert sorted(found.item_nums.tolist()) == np.flatnonzero(genre).tolist()


def test_the_answer_says_which_graph_it_came_from(engine, bundles):
    """Clients see no difference but the bundle's hash."""
    assert engine.info.index == "graph"
    assert engine.info.content_hash == load(bundles[1].path).manifest.content_hash
