"""The served ranker gives the plain one's logits, whatever the backbone and the storage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vizsla.bundles.attach import narrow_weights
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import IncompatibleArtifactError
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker import RANKERS, Ranker, to_inputs
from vizsla.models.ranker.runtime import RankerRuntime

N_ITEMS = 30


def made(name, n_codes, dim, **spec):
    return RankerField(spec=FieldSpec(name=name, **spec), n_codes=n_codes, dim=dim)


def schema(widths):
    """Three owners, two lists, one dropped field; ``widths`` of user, item, genres, hour."""
    user, item, genres, hour = widths
    return RankingSchema(
        frame="toy",
        frame_hash="f",
        vocabulary_hash="v",
        fields=(
            made("user", 50, user, owner="user"),
            made("item", 40, item, owner="item"),
            made("noise", 9, 0, owner="item"),
            made("genres", 12, genres, owner="item", kind="multi_valued"),
            made("hour", 26, hour),
            made("seen", 40, item, owner="user", kind="sequence", shares="item"),
        ),
    )


SCHEMAS = {"equal": schema((4, 4, 4, 4)), "unequal": schema((6, 4, 2, 3))}


def ragged(lists):
    lengths = [len(one) for one in lists]
    values = np.array([value for one in lists for value in one], np.int32)
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def item_rows(rng, n_items=N_ITEMS):
    genres = [rng.integers(0, 12, rng.integers(0, 4)).tolist() for _ in range(n_items)]
    return EncodedRows(
        {"item": rng.integers(0, 40, n_items).astype(np.int32)}, {"genres": ragged(genres)}
    )


def user_row(user, hour, seen):
    single = {"user": np.array([user], np.int32), "hour": np.array([hour], np.int32)}
    return EncodedRows(single, {"seen": ragged([seen])})


def together(user, items, item_nums):
    """The rows as training has them: every field of every candidate written out."""
    chosen = items.take(item_nums)
    count = len(item_nums)
    single = {name: np.repeat(codes, count) for name, codes in user.single.items()}
    lists = {name: ragged([one.values.tolist()] * count) for name, one in user.lists.items()}
    return EncodedRows(single | dict(chosen.single), lists | dict(chosen.lists))


def trained(name, widths, config=None):
    """A ranker with random weights of the size that training gives them."""
    kind = RANKERS.load(name)
    settings = kind.config_class.model_validate(config or {})
    ranker = Ranker(SCHEMAS[widths], kind(SCHEMAS[widths], settings))
    generator = torch.Generator().manual_seed(3)
    for parameter in ranker.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    ranker.eval()
    return ranker, {key: value.numpy() for key, value in ranker.state_dict().items()}


def runtime_of(name, widths, weights, config=None):
    config = RANKERS.load(name).config_class().model_dump() if config is None else config
    return RankerRuntime(SCHEMAS[widths], name, config, weights)


USERS = (user_row(7, 3, [5, 8, 8, 2]), user_row(0, 1, []))


@pytest.mark.parametrize("user", USERS, ids=["known", "empty"])
@pytest.mark.parametrize("widths", SCHEMAS)
@pytest.mark.parametrize("name", list(RANKERS))
def test_it_gives_the_plain_rankers_logits(name, widths, user):
    """User side once, item side from the store: equal to the forward of whole rows."""
    ranker, weights = trained(name, widths)
    items, nums = item_rows(np.random.default_rng(0)), np.array([3, 29, 0, 3, 11])
    with torch.no_grad():
        expected = ranker(to_inputs(SCHEMAS[widths], together(user, items, nums))).numpy()
    runtime = runtime_of(name, widths, weights)
    store = runtime.store([items.take(np.arange(20)), items.take(np.arange(20, N_ITEMS))])
    found = runtime.logits(runtime.user(user), store.take(nums))

    assert len(store) == N_ITEMS
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "config", [{"hidden": [3]}, {"hidden": [5, 4], "layer_norm": True}, {"hidden": []}]
)
@pytest.mark.parametrize("name", ["dnn", "deepfm"])
def test_any_perceptron_is_split(name, config):
    """Narrower than the items' fields, whose product is then kept; normalised; with no layer."""
    ranker, weights = trained(name, "unequal", config)
    items, nums = item_rows(np.random.default_rng(0)), np.arange(N_ITEMS)
    with torch.no_grad():
        rows = together(USERS[0], items, nums)
        expected = ranker(to_inputs(SCHEMAS["unequal"], rows)).numpy()
    runtime = runtime_of(name, "unequal", weights, config)
    found = runtime.logits(runtime.user(USERS[0]), runtime.store([items]).take(nums))

    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


CROSSES = [
    ["user", "item"],
    ["genres", "hour", "user"],
    ["seen", "item"],
    ["item", "genres"],
    ["user", "seen"],
    ["hour", "item", "user"],
]
"""Of two sides, with an item's list, with a user's list, of one side alone, of three."""


@pytest.mark.parametrize("user", USERS, ids=["known", "empty"])
@pytest.mark.parametrize("crosses", [*([one] for one in CROSSES), CROSSES])
def test_crosses_are_those_of_whole_rows(crosses, user):
    """Whichever side a crossed field belongs to, stored in pieces, replaced or taken."""
    config = {"crosses": crosses, "cross_buckets": 97, "hidden": [4]}
    ranker, weights = trained("wide_deep", "unequal", config)
    items, nums = item_rows(np.random.default_rng(0)), np.array([3, 29, 0, 3, 11])
    with torch.no_grad():
        rows = to_inputs(SCHEMAS["unequal"], together(user, items, nums))
        expected = ranker(rows).numpy()
    runtime = runtime_of("wide_deep", "unequal", weights, config)
    store = runtime.store([items.take(np.arange(20)), items.take(np.arange(20, N_ITEMS))])
    other = store.take(np.array([3, 5, 0, 3, 6]))
    side = other.replaced(np.array([1, 4]), runtime.items(items.take(np.array([29, 11]))))

    for found in (store.take(nums), side):
        logits = runtime.logits(runtime.user(user), found)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert runtime.logits(runtime.user(user), store.take(np.empty(0, np.int64))).shape == (0,)


@pytest.mark.parametrize("name", list(RANKERS))
def test_one_candidate_is_scored_as_among_many(name):
    """And no candidate at all gives nothing."""
    _, weights = trained(name, "unequal")
    runtime = runtime_of(name, "unequal", weights)
    user, side = runtime.user(USERS[0]), runtime.items(item_rows(np.random.default_rng(0)))
    store = runtime.store([item_rows(np.random.default_rng(0))])
    every = runtime.logits(user, side)
    one = runtime.logits(user, store.take(np.array([4])))
    none = runtime.logits(user, store.take(np.empty(0, np.int64)))

    assert every.shape == (N_ITEMS,)
    np.testing.assert_allclose(one, every[4:5], rtol=1e-4, atol=1e-5)
    assert none.shape == (0,)


@pytest.mark.parametrize(("dtype", "part"), [("bfloat16", 0.02), ("int8", 0.02)])
def test_narrow_storage_moves_logits_little_and_takes_less(dtype, part):
    """Tables and item store both; the bound is a part of the spread of the logits."""
    _, weights = trained("dnn", "unequal")
    items = item_rows(np.random.default_rng(0))
    wide = runtime_of("dnn", "unequal", weights)
    narrow = runtime_of("dnn", "unequal", narrow_weights(weights, dtype))
    full, small = wide.store([items]), narrow.store([items], dtype)
    nums = np.arange(N_ITEMS)
    exact = wide.logits(wide.user(USERS[0]), full.take(nums))
    found = narrow.logits(narrow.user(USERS[0]), small.take(nums))

    assert np.abs(found - exact).max() < part * np.abs(exact).max()
    assert small.n_bytes < full.n_bytes
    assert narrow.tables.n_bytes < wide.tables.n_bytes


def test_weights_of_another_schema_are_refused():
    """The message names the table and both shapes."""
    _, weights = trained("dnn", "equal")
    weights["embeddings.tables.4.weight"] = weights["embeddings.tables.4.weight"][:-1]

    with pytest.raises(IncompatibleArtifactError, match=r"table 4 of the ranker is \(127, 4\)"):
        runtime_of("dnn", "equal", weights)


def test_weights_of_another_backbone_are_refused():
    """What torch says comes in one line."""
    _, weights = trained("dnn", "equal")

    with pytest.raises(IncompatibleArtifactError, match=r"not those of this dnn: .*size mismatch"):
        runtime_of("dnn", "equal", weights, {"hidden": [8]})
