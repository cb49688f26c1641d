"""What every registered CTR model must do, whatever it is made of."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import ConfigError, UnknownNameError
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker import RANKERS, build_ranker, to_inputs

SIZES = {"user": 40, "item": 30, "hour": 8, "noise": 12, "genres": 9, "seen": 30}
UNEQUAL = {"user": 4, "item": 6, "hour": 2, "noise": 0, "genres": 4, "seen": 6}
EQUAL = dict.fromkeys(SIZES, 6)
MODELS = sorted(RANKERS)
READING = sorted(set(MODELS) - {"lr"})


def schema(dims):
    specs = {
        "genres": {"kind": "multi_valued", "owner": "item"},
        "seen": {"kind": "sequence", "owner": "user", "shares": "item"},
        "user": {"owner": "user"},
        "item": {"owner": "item"},
    }
    fields = [
        RankerField(spec=FieldSpec(name=name, **specs.get(name, {})), n_codes=n, dim=dims[name])
        for name, n in SIZES.items()
        if name in dims
    ]
    return RankingSchema(frame="toy", frame_hash="f", vocabulary_hash="v", fields=fields)


def ragged(rng, n_rows, n_codes, longest):
    lengths = rng.integers(0, longest + 1, n_rows)
    values = rng.integers(2, n_codes, lengths.sum()).astype(np.int32)
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))


def rows(n_rows=32, seed=0):
    rng = np.random.default_rng(seed)
    single = {
        name: rng.integers(0, SIZES[name], n_rows).astype(np.int32)
        for name in ("user", "item", "hour", "noise")
    }
    lists = {"genres": ragged(rng, n_rows, 9, 3), "seen": ragged(rng, n_rows, 30, 5)}
    labels = ((single["user"] + single["item"]) % 2).astype(np.float32)
    return EncodedRows(single, lists, labels)


def made(model, dims=UNEQUAL, seed=0, **settings):
    ranker = build_ranker(schema(dims), model, settings)
    ranker.reset_parameters(torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    for name, weights in ranker.named_parameters():
        if "embeddings" in name:  # so large that an error in reading shows
            torch.nn.init.normal_(weights, std=0.3, generator=generator)
    return ranker.eval()


@torch.no_grad()
def logits(ranker, some):
    return ranker(to_inputs(ranker.schema, some))


@pytest.mark.parametrize("model", MODELS)
def test_its_config_makes_it_again(model):
    """A config that went through JSON builds a model that takes the same weights."""
    ranker = made(model)
    config = type(ranker.backbone.config).model_validate_json(
        ranker.backbone.config.model_dump_json()
    )
    again = build_ranker(ranker.schema, model, config.model_dump(mode="json"))
    again.load_state_dict(ranker.state_dict())

    assert torch.equal(logits(again.eval(), rows()), logits(ranker, rows()))


@pytest.mark.parametrize("dims", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize("model", MODELS)
def test_every_weight_learns(model, dims):
    """No parameter is there for nothing."""
    ranker = made(model, dims).train()
    some = rows()
    loss = binary_cross_entropy_with_logits(
        ranker(to_inputs(ranker.schema, some)), torch.from_numpy(some.labels)
    )
    loss.backward()

    for name, weights in ranker.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.isfinite().all(), name
        assert weights.grad.abs().sum() > 0, name


@pytest.mark.parametrize("model", MODELS)
def test_a_row_alone_gets_what_it_gets_among_others(model):
    """Batches change nothing, nor does the order in them."""
    ranker, some = made(model), rows()
    together = logits(ranker, some)
    order = np.random.default_rng(3).permutation(len(some))
    alone = torch.cat([logits(ranker, some.take(np.array([row]))) for row in range(8)])

    torch.testing.assert_close(alone, together[:8], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        logits(ranker, some.take(order)), together[order], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_dropped_field_is_not_read(model):
    """It need not even be there."""
    ranker, some = made(model), rows()
    without = some.only([name for name in SIZES if name != "noise"])

    assert torch.equal(logits(ranker, without), logits(ranker, some))


@pytest.mark.parametrize("model", READING)
def test_a_kept_field_is_read(model):
    """Another value gives another answer, for every field."""
    ranker, some = made(model, EQUAL), rows(256)
    for name, codes in some.single.items():
        changed = dict(some.single) | {name: np.roll(codes, 1)}

        other = logits(ranker, EncodedRows(changed, some.lists))
        assert not torch.equal(other, logits(ranker, some)), name


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_fixes_its_start(model):
    """The same seed, the same weights; another one, others."""
    first, same, other = (build_ranker(schema(UNEQUAL), model, {}) for _ in range(3))
    for ranker, seed in ((first, 1), (same, 1), (other, 2)):
        ranker.reset_parameters(torch.Generator().manual_seed(seed))
    weights = [ranker.state_dict() for ranker in (first, same, other)]

    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    if model != "lr":  # which starts at zero
        assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.parametrize("model", MODELS)
def test_lists_may_be_empty(model):
    """Nobody has done anything yet: finite answers."""
    some = rows()
    nothing = Ragged(np.empty(0, np.int32), np.zeros(len(some) + 1, np.int64))
    empty = EncodedRows(some.single, {"genres": nothing, "seen": nothing})

    assert logits(made(model), empty).isfinite().all()


@pytest.mark.parametrize("model", READING)
def test_it_learns_a_planted_interaction(model):
    """The label is the parity of two fields: no sum of weights knows it."""
    some = rows(256)
    dims = EQUAL | {"hour": 0, "noise": 0}
    ranker = build_ranker(schema(dims), model, {})
    ranker.reset_parameters(torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(ranker.parameters(), lr=0.03)
    inputs, labels = to_inputs(ranker.schema, some), torch.from_numpy(some.labels)
    for _ in range(40):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(ranker(inputs), labels).backward()
        optimizer.step()

    scores = logits(ranker.eval(), some)
    positive, negative = scores[labels == 1], scores[labels == 0]
    assert (positive[:, None] > negative).float().mean() > 0.95


@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_setting_is_named(model):
    """So that nobody tunes what is not there."""
    with pytest.raises(ConfigError, match=rf"{model}\.hiden"):
        build_ranker(schema(UNEQUAL), model, {"hiden": 3})


def test_an_unknown_model_is_refused():
    """With the nearest name."""
    with pytest.raises(UnknownNameError, match="did you mean 'deepfm'"):
        build_ranker(schema(UNEQUAL), "depfm", {})


def test_a_schema_without_fields_is_refused():
    """A razor that dropped everything left nothing to train."""
    with pytest.raises(ConfigError, match="keeps no field"):
        build_ranker(schema(dict.fromkeys(SIZES, 0)), "dnn", {})


def test_lr_is_the_sum_of_its_weights():
    """Of the first rows: user 3 is row 3, item 5 is row 40 + 5, hour 2 is row 40 + 30 + 2."""
    dims = {"user": 4, "item": 4, "hour": 4}
    ranker = made("lr", dims)
    some = EncodedRows(
        {n: np.array([c], np.int32) for n, c in (("user", 3), ("item", 5), ("hour", 2))}
    )
    weights = ranker.embeddings.first.weight.detach()[:, 0]

    assert not list(ranker.embeddings.tables)
    torch.testing.assert_close(logits(ranker, some)[0], weights[3] + weights[45] + weights[72])


@pytest.mark.parametrize("dims", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
def test_fm_is_the_sum_over_all_pairs(dims):
    """By the definition, pair by pair; narrower vectors by the map to the largest width."""
    ranker, some = made("fm", dims), rows(16)
    embedded = ranker.embeddings(to_inputs(ranker.schema, some))
    maps = ranker.backbone.equal.maps
    names = list(embedded.vectors)
    of_width = {w: [n for n in names if dims[n] == w] for w in set(dims.values())}
    wide = {
        name: vectors
        if dims[name] == 6
        else vectors @ maps[str(dims[name])][of_width[dims[name]].index(name)]
        for name, vectors in embedded.vectors.items()
    }
    pairs = sum((wide[a] * wide[b]).sum(1) for a, b in combinations(names, 2))

    assert bool(maps) == (dims is UNEQUAL)
    torch.testing.assert_close(logits(ranker, some), (embedded.linear + pairs).detach())


def test_dcnv2_without_its_perceptron_is_the_formula():
    """One layer: ``v . (x * (W x + b) + x)``."""
    ranker, some = made("dcnv2", n_cross=1), rows(8)
    for weights in ranker.backbone.layers.parameters():
        torch.nn.init.zeros_(weights)
    x = ranker.embeddings(to_inputs(ranker.schema, some)).flat.detach()
    linear = ranker.backbone.cross[0].weights[0]
    crossed = x * (x @ linear.weight.T + linear.bias) + x

    torch.testing.assert_close(
        logits(ranker, some), (crossed @ ranker.backbone.crossed.weight[0]).detach()
    )


@pytest.mark.parametrize("settings", [{"rank": 3}, {"structure": "stacked"}, {"n_cross": 3}])
def test_dcnv2_has_other_forms(settings):
    """All of them answer, and low rank has fewer weights."""
    ranker = made("dcnv2", **settings)

    assert logits(ranker, rows()).isfinite().all()
    assert ("rank" in settings) == (ranker.backbone.cross[0].weights[0].bias is None)


def test_din_weighs_behaviours_by_the_candidate():
    """By hand for one row: the unit's weight times each behaviour, summed."""
    ranker, some = made("din"), rows(16)
    inputs = to_inputs(ranker.schema, some)
    embedded = ranker.embeddings(inputs)
    unit = ranker.backbone.units[0]
    row = int(np.argmax(some.lists["seen"].lengths))
    candidate = embedded.vectors["item"][row]
    expected = torch.zeros(6)
    for key in embedded.sequences["seen"].vectors[row][embedded.sequences["seen"].mask[row]]:
        seen = torch.cat([candidate, key, candidate - key, candidate * key])
        weight = unit.layers(seen[None])[0]
        expected = expected + weight * key
    found = unit(embedded.vectors["item"], embedded.sequences["seen"])[row]

    torch.testing.assert_close(found, expected)


def test_din_with_dice_answers_row_by_row():
    """Batch statistics are frozen when it serves."""
    ranker, some = made("din", activation="dice"), rows()
    ranker.train()
    ranker(to_inputs(ranker.schema, some))
    ranker.eval()

    torch.testing.assert_close(logits(ranker, some.take(np.array([5]))), logits(ranker, some)[5:6])


def test_din_without_behaviours_says_what_is_missing():
    """It is no model for such data."""
    with pytest.raises(ConfigError, match="no field of kind 'sequence'"):
        build_ranker(schema(UNEQUAL | {"seen": 0}), "din", {})
