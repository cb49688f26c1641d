"""Side features as codes."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings, strategies as st

from training.splits.features import N_BUCKETS, encode_features
from vizsla.contracts.features import SideFeature
from vizsla.models.recommender.item_columns import bucket_of
from vizsla.vocabulary import Vocabulary

TABLE = pl.DataFrame(
    {
        "item_id": ["b", "a", "a"],
        "genre": ["x", None, "ignored"],
        "tags": [["q", "p"], [], ["z"]],
        "year": [1990, 1991, 5],
        "note": ["n", "m", "o"],
    }
)
FEATURES = [
    SideFeature(name="genre", role="categorical"),
    SideFeature(name="tags", role="multi_valued"),
    SideFeature(name="year", role="numeric"),
    SideFeature(name="note", role="text"),
]


def test_codes_follow_the_vocabulary() -> None:
    """Rows stand in the order of the vocabulary; a missing row or value has code 0."""
    found = encode_features(TABLE, "item_id", Vocabulary(["a", "b", "c"]), FEATURES)

    assert found is not None
    assert found.names == ("genre", "year")
    assert found.values["genre"] == ["x"]
    assert found.codes[:, 0].tolist() == [0, 1, 0]
    assert found.multi_names == ("tags",)
    assert found.values["tags"] == ["p", "q"]
    assert [row.tolist() for row in found.multi[0]] == [[], [2, 1], []]


def test_numeric_columns_become_buckets() -> None:
    """Two values make two buckets; the label says which numbers are in."""
    found = encode_features(TABLE, "item_id", Vocabulary(["a", "b", "c"]), FEATURES)

    assert found is not None
    assert found.values["year"] == ["[-inf, 1991)", "[1991, inf)"]
    assert found.codes[:, 1].tolist() == [2, 1, 0]


def test_nothing_to_encode_is_none() -> None:
    """No table, or only text, gives no features."""
    rows = Vocabulary(["a"])

    assert encode_features(None, "item_id", rows, FEATURES) is None
    assert encode_features(TABLE, "item_id", rows, FEATURES[3:]) is None


def test_an_empty_column_is_unknown_throughout() -> None:
    """A column without a value has no values and code 0 everywhere."""
    table = TABLE.with_columns(year=pl.lit(None, pl.Float64), genre=pl.lit(None, pl.String))
    found = encode_features(table, "item_id", Vocabulary(["a", "b"]), FEATURES)

    assert found is not None
    assert found.values["year"] == []
    assert found.codes.tolist() == [[0, 0], [0, 0]]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_buckets_can_be_found_again_from_their_labels(values: list[float]) -> None:
    """Serving, which has only the labels, gives every training value its training code."""
    ids = [f"i{n}" for n in range(len(values))]
    table = pl.DataFrame({"item_id": ids, "year": values})
    found = encode_features(table, "item_id", Vocabulary(ids), FEATURES[2:3])

    assert found is not None
    labels = found.values["year"]
    assert [bucket_of(labels, value) for value in values] == found.codes[:, 0].tolist()
    assert len(labels) <= N_BUCKETS
    assert set(np.unique(found.codes)) == set(range(1, len(labels) + 1))
    assert bucket_of(labels, float("nan")) == 0
