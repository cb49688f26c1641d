"""Encoded rows: rows can be taken in any order, lists go with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vizsla.errors import ContractError
from vizsla.fields import EncodedRows, Ragged

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6)


def ragged(lists):
    offsets = np.cumsum([0, *map(len, lists)])
    return Ragged(np.array([v for one in lists for v in one], np.int32), offsets)


@given(LISTS, st.data())
def test_taken_rows_keep_their_lists(lists, data):
    """Row ``i`` of what is taken has the values of the row that was asked for, in their order."""
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=8))
    taken = ragged(lists).take(np.array(rows, np.int64))

    parts = np.split(taken.values, taken.offsets[1:-1])[: len(rows)]
    assert [part.tolist() for part in parts] == [lists[row] for row in rows]


def test_all_fields_have_the_same_number_of_rows():
    """A field with a row too few is named with its size."""
    with pytest.raises(ContractError, match="'b': 1"):
        EncodedRows({"a": np.zeros(2, np.int32), "b": np.zeros(1, np.int32)})


def test_rows_can_be_left_with_some_fields():
    """What is not asked for is gone, labels stay."""
    rows = EncodedRows(
        {"a": np.zeros(2, np.int32), "b": np.ones(2, np.int32)},
        {"c": ragged([[1], []])},
        np.array([0, 1], np.float32),
    )
    left = rows.only(["b", "c"])

    assert (sorted(left.single), sorted(left.lists), len(left)) == (["b"], ["c"], 2)
    assert left.labels is rows.labels
