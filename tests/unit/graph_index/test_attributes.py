"""Compiled filters against a row-by-row reading of them."""

from __future__ import annotations

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from graph_index.attributes import AttributeStore
from vizsla.contracts.filters import AttributeKind, Filter
from vizsla.errors import InvalidRequestError
from vizsla.vocabulary import Vocabulary

IDS = list("abcdef")
ITEMS = pa.table(
    {
        "item_num": list(range(6)),
        "item_id": IDS,
        "country": ["DE", "AT", None, "DE", "FR", "de"],
        "topics": [["a", "b"], ["b", "b"], [], None, ["c", None], ["a"]],
        "price": [5, 20, None, 7, -1, 5],
        "weight": [0.5, float("nan"), 2.5, None, float("inf"), 1.0],
        "active": [True, False, True, None, True, False],
    }
)


def store(items=ITEMS):
    return AttributeStore(items, Vocabulary(items.column("item_id").to_pylist()))


def parsed(*filters):
    return [Filter.model_validate_json(json.dumps(one)) for one in filters]


def kept(*filters, items=ITEMS):
    bitmap = store(items).allowed(parsed(*filters))
    ids = items.column("item_id").to_pylist()
    return "".join(ids[row] for row in np.flatnonzero(bitmap))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"attribute": "country", "equals": "DE"}, "ad"),
        ({"attribute": "country", "any_of": ["AT", "FR", "XX"]}, "be"),
        ({"attribute": "country", "any_of": []}, ""),
        ({"attribute": "country", "none_of": ["DE"]}, "bcef"),
        ({"attribute": "country", "none_of": []}, "abcdef"),
        ({"attribute": "country", "exists": True}, "abdef"),
        ({"attribute": "country", "exists": False}, "c"),
        ({"attribute": "topics", "any_of": ["a", "c"]}, "aef"),
        ({"attribute": "topics", "all_of": ["a", "b", "a"]}, "a"),
        ({"attribute": "topics", "all_of": []}, "abcdef"),
        ({"attribute": "topics", "none_of": ["b"]}, "cdef"),
        ({"attribute": "topics", "exists": False}, "cd"),
        ({"attribute": "price", "gte": 5, "lt": 20}, "adf"),
        ({"attribute": "price", "gt": 5}, "bd"),
        ({"attribute": "price", "lte": 4.5}, "e"),
        ({"attribute": "price", "any_of": [5, 7.0]}, "adf"),
        ({"attribute": "price", "none_of": [5]}, "bcde"),
        ({"attribute": "weight", "gte": 1}, "cf"),
        ({"attribute": "weight", "exists": False}, "bde"),
        ({"attribute": "active", "equals": True}, "ace"),
        ({"attribute": "active", "equals": False}, "bf"),
        ({"attribute": "active", "none_of": [False]}, "acde"),
        ({"attribute": "item_id", "any_of": ["f", "a", "zzz"]}, "af"),
        ({"attribute": "item_id", "none_of": ["f", "a"]}, "bcde"),
        ({"attribute": "item_id", "all_of": ["a", "b"]}, ""),
        ({"attribute": "item_id", "exists": True}, "abcdef"),
    ],
)
def test_conditions_by_hand(condition, expected):
    """Every operator on every kind of attribute, with missing values."""
    assert kept(condition) == expected


def test_groups_by_hand():
    """``all``, ``any`` and ``none`` of conditions, nested; several filters must all hold."""
    german = {"attribute": "country", "equals": "DE"}
    cheap = {"attribute": "price", "lt": 7}

    assert kept({"all": [german, cheap]}) == "a"
    assert kept({"any": [german, cheap]}) == "adef"
    assert kept({"none": [german, cheap]}) == "bc"
    assert kept({"none": [{"all": [german, cheap]}]}) == "bcdef"
    assert kept(german, {"none": [cheap]}) == "d"
    assert kept() == "abcdef"


def test_times_are_unix_seconds():
    """Dates and timestamps are compared as Unix seconds."""
    day = datetime.date(1970, 1, 2)
    moment = datetime.datetime(1970, 1, 1, 0, 0, 1, 500_000, datetime.UTC)
    items = pa.table(
        {
            "item_id": ["a", "b"],
            "day": [day, None],
            "moment": [moment, None],
            "cost": [Decimal("1.25"), None],
            "kinds": pa.array(["x", None]).dictionary_encode(),
        }
    )

    assert kept({"attribute": "day", "equals": 86_400}, items=items) == "a"
    assert kept({"attribute": "moment", "gt": 1.4, "lt": 1.6}, items=items) == "a"
    assert kept({"attribute": "cost", "equals": 1.25}, items=items) == "a"
    assert kept({"attribute": "kinds", "equals": "x"}, items=items) == "a"


def test_kinds_leave_out_what_no_filter_can_read():
    """The row number and nested columns are no attributes."""
    items = ITEMS.append_column("nested", pa.array([{"x": 1}] * 6))
    kinds = store(items).kinds

    assert kinds["topics"] is AttributeKind.TEXT
    assert kinds["price"] is AttributeKind.NUMBER
    assert kinds["active"] is AttributeKind.BOOLEAN
    assert not {"item_num", "nested"} & set(kinds)


@pytest.mark.parametrize(
    ("wrong", "pointer", "detail"),
    [
        ({"attribute": "contry", "equals": "DE"}, "/filters/1/attribute", "did you mean 'country'"),
        ({"attribute": "zzz", "equals": "DE"}, "/filters/1/attribute", "there are active, country"),
        ({"attribute": "country", "gte": 5}, "/filters/1/gte", "'country' holds text"),
        ({"attribute": "price", "any_of": [1, "2"]}, "/filters/1/any_of", "holds numbers"),
        ({"attribute": "price", "equals": True}, "/filters/1/equals", "holds numbers"),
        ({"attribute": "price", "all_of": [1]}, "/filters/1/all_of", "use one of equals, any_of"),
        ({"attribute": "active", "equals": 1}, "/filters/1/equals", "holds true or false"),
        (
            {"any": [{"attribute": "price", "gt": 1}, {"none": [{"attribute": "x", "gt": 1}]}]},
            "/filters/1/any/1/none/0/attribute",
            "no such attribute",
        ),
    ],
)
def test_what_does_not_fit_is_named(wrong, pointer, detail):
    """Unknown attributes and wrong operators or values are refused with their place."""
    good = {"attribute": "country", "equals": "DE"}
    with pytest.raises(InvalidRequestError) as caught:
        store().allowed(parsed(good, wrong))

    (problem,) = caught.value.problems
    assert problem.pointer == pointer
    assert detail in problem.detail


def test_equal_filters_share_a_bitmap():
    """Compiled once, read-only, also where only a part is the same."""
    attributes = store()
    german = {"attribute": "country", "equals": "DE"}
    first = attributes.allowed(parsed(german))

    assert attributes.allowed(parsed(german)) is first
    assert attributes.allowed(parsed({"attribute": "price", "equals": 1})) is not first
    assert not first.flags.writeable


def test_true_is_not_one():
    """The memory of compiled filters tells ``true`` from ``1``."""
    items = pa.table({"item_id": ["a"], "flag": [True]})
    attributes = store(items)
    attributes.allowed(parsed({"attribute": "flag", "equals": True}))

    with pytest.raises(InvalidRequestError):
        attributes.allowed(parsed({"attribute": "flag", "equals": 1}))


def test_memory_is_bounded(monkeypatch):
    """The least used bitmaps are dropped."""
    monkeypatch.setattr("graph_index.attributes.store._MOST_COMPILED", 3)
    attributes = store()
    first = attributes.allowed(parsed({"attribute": "price", "gt": 0}))
    for bound in range(1, 9):
        attributes.allowed(parsed({"attribute": "price", "gt": bound}))

    assert len(attributes._compiled) == 3
    assert attributes.allowed(parsed({"attribute": "price", "gt": 0})) is not first


def test_threads_get_the_same():
    """Columns and bitmaps that several threads ask for at once are the same."""
    attributes = store()
    wanted = parsed({"attribute": "topics", "any_of": ["a"]})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: attributes.allowed(wanted), range(16)))

    assert all(bitmap is found[0] for bitmap in found)


TEXTS = st.sampled_from(["", "a", "b", "é", "zz"])
NUMBERS = st.one_of(
    st.integers(-3, 3), st.floats(-3, 3, allow_nan=False).map(lambda x: round(x, 1))
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), TEXTS),
        st.one_of(st.none(), st.lists(TEXTS, max_size=3)),
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.booleans()),
    ),
    min_size=1,
    max_size=30,
)


def _conditions():
    lists = st.lists(TEXTS, max_size=3)
    numbers = st.lists(NUMBERS, max_size=3)
    of_text = st.fixed_dictionaries(
        {"attribute": st.sampled_from(["one", "many"])},
        optional={"equals": TEXTS, "any_of": lists, "all_of": lists, "none_of": lists},
    )
    of_numbers = st.fixed_dictionaries(
        {"attribute": st.just("number"), "exists": st.booleans()},
        optional={"gt": NUMBERS, "gte": NUMBERS, "lt": NUMBERS, "lte": NUMBERS, "none_of": numbers},
    )
    of_flags = st.fixed_dictionaries(
        {"attribute": st.just("flag"), "any_of": st.lists(st.booleans(), max_size=2)}
    )
    return st.one_of(of_text.filter(lambda one: len(one) > 1), of_numbers, of_flags)


FILTERS = st.recursive(
    _conditions(),
    lambda inner: st.builds(
        lambda name, members: {name: members},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def reference(one, row):
    """Read one filter for one item, as the documentation says it."""
    if "attribute" not in one:
        ((name, members),) = one.items()
        held = [reference(member, row) for member in members]
        return {"all": all(held), "any": any(held), "none": not any(held)}[name]
    value = row[one["attribute"]]
    has = [] if value is None else value if isinstance(value, list) else [value]
    checks = {
        "equals": lambda wanted: wanted in has,
        "any_of": lambda wanted: any(v in has for v in wanted),
        "all_of": lambda wanted: all(v in has for v in wanted),
        "none_of": lambda wanted: not any(v in has for v in wanted),
        "gt": lambda wanted: bool(has) and has[0] > wanted,
        "gte": lambda wanted: bool(has) and has[0] >= wanted,
        "lt": lambda wanted: bool(has) and has[0] < wanted,
        "lte": lambda wanted: bool(has) and has[0] <= wanted,
        "exists": lambda wanted: bool(has) == wanted,
    }
    return all(checks[name](wanted) for name, wanted in one.items() if name != "attribute")


@settings(max_examples=200, deadline=None)
@given(ROWS, st.lists(FILTERS, max_size=3))
def test_bitmap_is_the_row_by_row_reading(rows, filters):
    """Whatever the items and the filters, the bitmap is what reading row by row gives."""
    one, many, number, flag = (list(column) for column in zip(*rows, strict=True))
    items = pa.table(
        {
            "item_id": [f"i{row}" for row in range(len(rows))],
            "one": pa.array(one, pa.string()),
            "many": pa.array(many, pa.list_(pa.string())),
            "number": pa.array(number, pa.int64()),
            "flag": pa.array(flag, pa.bool_()),
        }
    )
    named = [dict(zip(("one", "many", "number", "flag"), row, strict=True)) for row in rows]
    expected = [all(reference(f, row) for f in filters) for row in named]

    assert store(items).allowed(parsed(*filters)).tolist() == expected
