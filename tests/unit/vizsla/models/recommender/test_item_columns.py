"""Columns of one item are encoded as the training encoded those of all."""

import numpy as np
import polars as pl
import pytest

from training.splits.features import encode_features
from vizsla.contracts.bundle import ItemColumn
from vizsla.contracts.features import SideFeature
from vizsla.models.recommender.features import pack_features
from vizsla.models.recommender.item_columns import ItemColumns
from vizsla.vocabulary import Vocabulary

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "genre": ["x", None, "y", "x"],
        "adult": [True, False, None, True],
        "pages": [1.0, 2.5, None, 300.0],
        "size": [1, 2, 3, None],
        "tags": [["q", "p"], [], None, ["p", "p", "r"]],
    }
)
ROLES = [
    SideFeature(name="genre", role="categorical"),
    SideFeature(name="adult", role="categorical"),
    SideFeature(name="pages", role="numeric"),
    SideFeature(name="size", role="categorical"),
    SideFeature(name="tags", role="multi_valued"),
]
TRAINED = encode_features(TABLE, "item_id", Vocabulary(TABLE["item_id"].to_list()), ROLES)
ROLE_OF = {feature.name: feature.role for feature in ROLES}
COLUMNS = ItemColumns(
    [
        ItemColumn(name=name, role=ROLE_OF[name], values=TRAINED.values[name])
        for name in (*TRAINED.names, *TRAINED.multi_names)
    ]
)


def total(codes, weights):
    """The weight of every code: places of equal codes do not matter."""
    return np.bincount(codes.ravel(), weights.ravel(), minlength=40)


@pytest.mark.parametrize("row", range(4))
def test_an_item_is_encoded_as_in_training(row):
    """Text, truth values, numbers, lists, and what is missing."""
    sizes = [len(TRAINED.values[name]) for name in TRAINED.names]
    multi = [len(TRAINED.values[name]) for name in TRAINED.multi_names]
    codes, weights = pack_features(TRAINED.codes, sizes, TRAINED.multi, multi)
    found = COLUMNS.packed(TABLE.row(row, named=True))

    np.testing.assert_allclose(total(*found), total(codes[row], weights[row]), rtol=1e-6)


def test_what_training_never_saw_weighs_nothing():
    """Unknown values, values of the wrong kind, and unknown columns: as if they were missing."""
    strange = {"genre": "new", "adult": 7, "pages": "many", "size": [1], "tags": [None], "x": 1}

    assert total(*COLUMNS.packed(strange))[1:].sum() == 0
    assert total(*COLUMNS.packed({}))[1:].sum() == 0


def test_json_does_not_tell_a_whole_number_from_a_fraction():
    """1 and 1.0 are the same category."""
    assert COLUMNS.packed({"size": 1.0})[0].tolist() == COLUMNS.packed({"size": 1})[0].tolist()
    assert COLUMNS.packed({"size": 1})[0].any()


def test_a_list_shares_its_weight_among_the_values_that_are_known():
    """A new tag beside a known one takes nothing from it."""
    one = total(*COLUMNS.packed({"tags": ["p"]}))

    np.testing.assert_allclose(total(*COLUMNS.packed({"tags": ["p", "new"]}))[1:], one[1:])
