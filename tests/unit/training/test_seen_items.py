"""Which items a user has."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from training.data import Ragged
from training.seen_items import SeenItems

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=6)


@pytest.mark.parametrize("max_table_bytes", [0, 1_000])
@settings(deadline=None)  # the first lookup compiles
@given(ROWS, st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_both_lookups_agree_with_sets(max_table_bytes, rows, items):
    """Own and shared lookups say what Python sets say, repeats and empty rows included."""
    seen = SeenItems(Ragged.from_lists(rows), 10, max_table_bytes=max_table_bytes)
    users = torch.arange(len(rows))
    wanted = torch.tensor(items)
    expected = [[item in row for item in items] for row in rows]

    assert seen.contains_shared(users, wanted).tolist() == expected
    whole = [[item in row for item in range(10)] for row in rows]
    assert seen.contains_shared(users, torch.arange(10)).tolist() == whole
    assert seen.contains(users, wanted.expand(len(rows), -1)).tolist() == expected


@pytest.mark.parametrize("max_table_bytes", [0, 1_000])
@settings(deadline=None)  # the first lookup compiles
@given(ROWS, st.lists(st.integers(0, 5), max_size=4), st.lists(st.integers(0, 9), max_size=4))
def test_few_users_and_few_items_are_looked_up_alike(max_table_bytes, rows, users, items):
    """Whichever side is walked, in any order, with repeats and with none at all."""
    seen = SeenItems(Ragged.from_lists(rows), 10, max_table_bytes=max_table_bytes)
    users = [user for user in users if user < len(rows)]
    wanted = torch.tensor(items, dtype=torch.int64)
    found = seen.contains_shared(torch.tensor(users, dtype=torch.int64), wanted)

    assert found.tolist() == [[item in rows[user] for item in items] for user in users]


def test_a_users_items_are_distinct_and_sorted():
    """Repeats of an item count once."""
    seen = SeenItems(Ragged.from_lists([[2], [5, 1, 5]]), 6)

    assert seen.items(1).tolist() == [1, 5]


def test_shared_lookup_keeps_the_order_of_users_with_repeats():
    """The same user may stand in several rows of a batch."""
    seen = SeenItems(Ragged.from_lists([[0], [1]]), 2)
    found = seen.contains_shared(torch.tensor([1, 0, 1]), torch.tensor([0]))

    assert found[:, 0].tolist() == [False, True, False]


def test_nothing_seen_at_all():
    """Data without a single interaction has no seen pair."""
    seen = SeenItems(Ragged.from_lists([[], []]), 3)

    assert not seen.contains(torch.tensor([0]), torch.tensor([[0, 1]])).any()
    assert np.array_equal(seen.offsets.numpy(), [0, 0, 0])
