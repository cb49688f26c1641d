"""Crossed features: which weight a combination reads, and which crosses are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import ConfigError
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker import build_ranker, to_inputs
from vizsla.models.ranker.crosses import Crosses, bucket, hashed

KINDS = {"tags": "multi_valued", "seen": "sequence"}
SCHEMA = RankingSchema(
    frame="toy",
    frame_hash="f",
    vocabulary_hash="v",
    fields=tuple(
        RankerField(
            spec=FieldSpec(name=name, kind=KINDS.get(name, "categorical")), n_codes=9, dim=d
        )
        for name, d in {"user": 2, "item": 2, "gone": 0, "tags": 2, "seen": 2}.items()
    ),
)
ROWS = EncodedRows(
    {"user": np.array([2, 3, 3], np.int32), "item": np.array([4, 4, 5], np.int32)},
    {
        "tags": Ragged(np.array([2, 7], np.int32), np.array([0, 2, 2, 2])),
        "seen": Ragged(np.array([], np.int32), np.array([0, 0, 0, 0])),
    },
)


def splitmix(x):
    """The published generator's finaliser with whole numbers of Python, all without sign."""
    x = x * 0x9E3779B97F4A7C15 % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def place(codes, n_buckets):
    """Bucket of a combination, by the definition."""
    total = sum(splitmix(code + (at << 32)) for at, code in enumerate(codes)) % 2**64
    return (splitmix(total) >> 33) % n_buckets


def test_torch_numpy_and_plain_python_hash_alike():
    """Signed numbers that wrap are the same bits as unsigned ones."""
    codes = np.arange(1_000)
    sums = hashed(codes, 0) + hashed(codes[::-1].copy(), 1)
    tensors = hashed(torch.arange(1_000), 0) + hashed(torch.arange(1_000).flip(0), 1)
    expected = [place([one, 999 - one], 10_007) for one in range(1_000)]

    assert bucket(sums, 10_007).tolist() == expected
    assert bucket(tensors, 10_007).tolist() == expected


def test_combinations_spread_over_the_buckets_and_do_not_collide_in_families():
    """10,000 pairs in 10,000 buckets leave a share of about 1 / e empty, as chance does.

    Two users whose hashes are near must not share all their buckets: with 256 of them and 256
    items in 64 buckets, no two agree on more than a few items.
    """
    grid = hashed(np.arange(100), 0)[:, None] + hashed(np.arange(100), 1)
    used = len(np.unique(bucket(grid, 10_000))) / 10_000
    assert used == pytest.approx(1 - 1 / np.e, abs=0.02)

    small = bucket(hashed(np.arange(256), 0)[:, None] + hashed(np.arange(256), 1), 64)
    agreeing = [(small[0] == other).mean() for other in small[1:]]
    assert max(agreeing) < 0.1


def test_a_cross_adds_the_weight_of_its_bucket():
    """And of a list the mean over its values: of nothing, nothing."""
    crosses = Crosses(SCHEMA, [["user", "item"], ["tags", "user"]], 11)
    with torch.no_grad():
        crosses.weights.copy_(torch.arange(22.0).view(2, 11))
    first, second, third = (place(pair, 11) for pair in ((2, 4), (3, 4), (3, 5)))
    listed = (22 + place((2, 2), 11) + place((7, 2), 11)) / 2

    found = crosses(to_inputs(SCHEMA, ROWS)).tolist()
    assert found == [first + listed, second, third]


def test_crosses_memorise_what_single_values_cannot_say():
    """An exclusive or of two fields has no first-order part: the wide part alone learns it."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(2, 9, (2, 500)).astype(np.int32)
    empty = Ragged(np.empty(0, np.int32), np.zeros(501, np.int64))
    labels = torch.from_numpy(((user ^ item) & 1).astype(np.float32))
    inputs = to_inputs(
        SCHEMA, EncodedRows({"user": user, "item": item}, dict.fromkeys(KINDS, empty))
    )
    crosses = Crosses(SCHEMA, [["user", "item"]], 4_096)
    optimizer = torch.optim.Adam(crosses.parameters(), lr=0.3)
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(crosses(inputs), labels)
        loss.backward()
        optimizer.step()

    assert ((crosses(inputs) > 0).float() == labels).float().mean() == 1


def test_without_crosses_it_is_a_dnn():
    """The same weights by name, the same logits."""
    wide, plain = (build_ranker(SCHEMA, name, {"hidden": [3]}) for name in ("wide_deep", "dnn"))
    plain.reset_parameters(torch.Generator().manual_seed(0))
    wide.load_state_dict(plain.state_dict())

    inputs = to_inputs(SCHEMA, ROWS)
    assert torch.equal(wide(inputs), plain(inputs))


def test_crosses_begin_at_zero():
    """So a seed starts with the same function as without them."""
    settings = {"crosses": [["user", "item"]], "cross_buckets": 5}
    ranker = build_ranker(SCHEMA, "wide_deep", settings)
    ranker.reset_parameters(torch.Generator().manual_seed(0))

    assert not dict(ranker.named_parameters())["backbone.crosses.weights"].any()


@pytest.mark.parametrize(
    ("cross", "told"),
    [
        (["user", "gone"], "'gone' is dropped from the schema; leave the cross out, or cross of"),
        (["user", "colour"], "'colour' is no field of the frame"),
        (["user", "user"], "two or more different fields"),
        (["user"], "two or more different fields"),
        (["seen", "user", "tags"], "seen, tags are lists; a cross takes one list at most"),
    ],
)
def test_a_cross_that_cannot_be_made_is_refused(cross, told):
    """In one sentence that names the setting, the cross and what to do."""
    with pytest.raises(ConfigError, match=r"model setting 'crosses': \[") as caught:
        build_ranker(SCHEMA, "wide_deep", {"crosses": [["user", "item"], cross]})

    assert told in str(caught.value)
