"""Filters over a catalogue that has changed: the bundle's rows, and others in their place."""

import json

import numpy as np
import pyarrow as pa
import pytest

from graph_index.attributes import AttributeStore, OverlaidAttributes
from vizsla.contracts.filters import Filter
from vizsla.errors import InvalidRequestError
from vizsla.vocabulary import Vocabulary

ITEMS = pa.table(
    {"item_id": ["a", "b", "c"], "price": [5.0, 20.0, None], "topics": [["x"], ["x", "y"], []]}
)


@pytest.fixture
def changed():
    """Item b is cheaper, d is new, e is new and says nothing."""
    rows = {
        1: ("b", {"price": 4, "topics": ["x", "y"]}),
        3: ("d", {"price": 6, "topics": "y", "unknown": 1}),
        4: ("e", {"price": "cheap"}),
    }
    base = AttributeStore(ITEMS, Vocabulary(["a", "b", "c"]))
    return OverlaidAttributes(base, 3).changed(5, rows)


def allowed(attributes, **condition):
    found = attributes.allowed([Filter.model_validate_json(json.dumps(condition))])
    return np.flatnonzero(found).tolist()


def test_changed_rows_stand_in_for_the_bundles(changed):
    """A new price is filtered by, the old one is forgotten, a new item is found."""
    assert allowed(changed, attribute="price", lt=10) == [0, 1, 3]
    assert allowed(changed, attribute="price", gte=10) == []
    assert allowed(changed, attribute="topics", any_of=["y"]) == [1, 3]


def test_a_value_that_does_not_fit_is_none(changed):
    """A text is no price: the item has none, as it has no topics."""
    assert allowed(changed, attribute="price", exists=False) == [2, 4]
    assert allowed(changed, attribute="topics", none_of=["y"]) == [0, 2, 4]


def test_ids_of_new_items_are_known(changed):
    """Allow and block lists reach them."""
    assert allowed(changed, attribute="item_id", any_of=["a", "d", "zz"]) == [0, 3]
    assert allowed(changed, attribute="item_id", none_of=["a", "d"]) == [1, 2, 4]


def test_groups_hold_across_both_parts(changed):
    """A group is compiled on either side and joined."""
    cheap, topic = {"attribute": "price", "lt": 10}, {"attribute": "topics", "equals": "y"}
    assert allowed(changed, all=[cheap, topic]) == [1, 3]
    assert allowed(changed, none=[cheap, topic]) == [2, 4]


def test_equal_filters_share_an_array(changed):
    """The walk tells filters apart by the array."""
    one = changed.allowed([Filter.model_validate({"attribute": "price", "lt": 10})])
    other = changed.allowed([Filter.model_validate({"attribute": "price", "lt": 10})])
    assert one is other
    assert not one.flags.writeable


def test_an_attribute_that_no_bundle_has_is_refused(changed):
    """A change cannot bring a new column into filters before the next bundle."""
    with pytest.raises(InvalidRequestError, match="no such attribute"):
        allowed(changed, attribute="unknown", equals=1)


def test_a_later_change_stands_over_an_earlier_one(changed):
    """A place that another item has now, an item that has another place, and the state before."""
    after = changed.changed(6, {3: ("f", {"price": 7}), 5: ("b", {"price": 30})})

    assert allowed(after, attribute="price", lt=10) == [0, 3]
    assert allowed(after, attribute="item_id", any_of=["f", "b"])[-2:] == [3, 5]
    assert allowed(after, attribute="price", gte=30) == [5]
    assert allowed(changed, attribute="price", lt=10) == [0, 1, 3]
    assert after.changed(6, {}) is after


def test_a_change_pays_for_its_own_rows(changed):
    """Blocks are merged now and then, and few: 1,000 changes move each row some ten times."""
    moved, before = 0, changed.n_rows
    for num in range(1000):
        changed = changed.changed(10 + num, {9 + num: (f"n{num}", {"price": float(num)})})
        moved += sum(set(changed.n_rows) - set(before))
        before = changed.n_rows

    assert len(before) <= 11
    assert moved < 11 * 1000
    assert allowed(changed, attribute="price", gte=998) == [1007, 1008]
