"""Windows and batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from training.batches import BatchPlan, BatchSettings
from training.plans import shortened
from training.windows import cut_windows, keep_some, split_targets
from vizsla.models.recommender.base import PADDING


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.integers(2, 8),
    st.integers(1, 8),
    st.booleans(),
)
def test_every_target_occurs_once(lengths, size, stride, ordered):
    """Each place but the first of an ordered row is a target of one window, which holds it."""
    stride = min(stride, size)
    cut = cut_windows(np.array(lengths), size, stride, ordered=ordered)
    found = [
        (row, place)
        for row, start, stop in zip(cut.rows, cut.target_starts, cut.target_stops, strict=True)
        for place in range(start, stop)
    ]
    first = 1 if ordered else 0
    expected = [(row, p) for row, n in enumerate(lengths) if n >= 2 for p in range(first, n)]

    assert sorted(found) == expected
    assert (cut.stops - cut.starts <= size).all()
    assert (cut.starts <= cut.target_starts).all()
    assert (cut.target_stops <= cut.stops).all()


def test_a_target_of_ordered_data_has_most_of_its_context():
    """Windows of 5 with stride 2: a target sees the three places before it, if there are any."""
    cut = cut_windows(np.array([20]), 5, 2, ordered=True)

    assert ((cut.target_starts - cut.starts >= 3) | (cut.starts == 0)).all()


def test_a_short_window_of_unordered_data_is_filled_with_other_items():
    """Seven items, windows of five: both windows hold five items, all seven are targets once."""
    cut = cut_windows(np.array([7]), 5, 5, ordered=False)

    assert (cut.stops - cut.starts).tolist() == [5, 5]
    assert (cut.target_stops - cut.target_starts).tolist() == [5, 2]


def plan(split, **changes):
    settings = {"batch_size": 8, "max_history": 5} | changes
    return BatchPlan(split, BatchSettings(**settings), 3, "test")


def all_targets(batches, n):
    return [
        (int(user), int(item))
        for index in range(n)
        for user, item in zip(batches[index].users, batches[index].positives, strict=True)
    ]


def test_an_epoch_asks_for_every_item_once(split, unordered_split):
    """Ordered data leaves out each user's first item; unordered data leaves out none."""
    for data, first in ((split, 1), (unordered_split, 0)):
        own = plan(data)
        found = all_targets(own.epoch(0), own.n_batches)
        expected = [
            (user, int(item))
            for user in range(len(data.train))
            for item in data.train[user][first:]
        ]
        assert sorted(found) == sorted(expected)


def test_targets_stand_where_the_batch_says(split):
    """Row and column of a target hold its item; padding is on the left."""
    batch = plan(split).epoch(0)[0]
    items = batch.sequences.item_nums

    assert torch.equal(items[batch.rows, batch.columns], batch.positives)
    assert (batch.positives != PADDING).all()
    assert (items[:, -1] != PADDING).all()


def test_ordered_windows_keep_the_order_of_the_user(split):
    """A window is a piece of the user's own sequence."""
    batch = plan(split).epoch(0)[0]
    users = dict(zip(batch.rows.tolist(), batch.users.tolist(), strict=True))
    for row, user in users.items():
        window = [i for i in batch.sequences.item_nums[row].tolist() if i != PADDING]
        whole = split.train[user].tolist()
        start = whole.index(window[0])
        assert whole[start : start + len(window)] == window


def test_any_batch_can_be_made_alone(unordered_split):
    """Batches are functions of seed, epoch and number: order of asking does not matter."""
    one, other = plan(unordered_split), plan(unordered_split)
    late = one.epoch(2)[3]
    other.epoch(1)[0]

    assert torch.equal(late.sequences.item_nums, other.epoch(2)[3].sequences.item_nums)
    assert not torch.equal(late.positives, other.epoch(1)[3].positives)


def test_a_bound_on_targets_holds_per_window(split):
    """At most two targets of each window; other epochs choose others."""
    own = plan(split, targets_per_sequence=2)
    batch = own.epoch(0)[0]

    assert torch.bincount(batch.rows).max() == 2
    assert all_targets(own.epoch(0), 2) != all_targets(own.epoch(1), 2)


def test_user_features_go_with_their_rows(rich_split):
    """The code of each window is that of its user."""
    batch = plan(rich_split).epoch(0)[0]
    codes = torch.from_numpy(rich_split.user_features.codes)

    assert torch.equal(batch.sequences.user_features[batch.rows], codes[batch.users])


@pytest.mark.parametrize("n_kept", [0, 5, 9])
def test_no_bound_keeps_all(n_kept):
    """0, or as many as there are places, leaves the marks alone."""
    marks = np.array([[True, False, True, True, False]])

    assert np.array_equal(keep_some(marks, n_kept, np.random.default_rng(0)), marks)


def test_split_windows_share_one_context(unordered_split):
    """Targets are taken out of the sequence; each is seen from what is left of its own window."""
    whole, cut = (
        plan(unordered_split).epoch(0)[0],
        plan(unordered_split, split_ratio=0.4).epoch(0)[0],
    )
    context = cut.sequences.item_nums

    assert len(cut.rows) == len(context) == len(cut.users)
    assert (cut.columns == context.shape[1]).all()
    for item, row in zip(cut.positives.tolist(), cut.seen_from.tolist(), strict=True):
        assert item not in context[row].tolist()
        assert item in whole.sequences.item_nums[row].tolist()
    assert (cut.sequences.mask.sum(dim=1) >= 1).all()
    assert torch.equal(cut.target_users, cut.users[cut.seen_from])


@given(st.lists(st.integers(2, 12), min_size=1, max_size=5), st.floats(0.01, 0.6))
def test_a_split_has_targets_and_a_context(lengths, ratio):
    """At least one place of each row on either side, and never an empty one."""
    mask = np.arange(12)[None, :] >= 12 - np.array(lengths)[:, None]
    targets = split_targets(mask, ratio, np.random.default_rng(0))

    assert not (targets & ~mask).any()
    assert (targets.sum(axis=1) >= 1).all()
    assert ((mask & ~targets).sum(axis=1) >= 1).all()


def test_a_shortened_plan_has_the_first_batches_of_the_same_order(split):
    """Two batches of an epoch are those that the whole epoch begins with."""
    whole = BatchPlan(split, BatchSettings(4, 8), 0, "batches")
    short = shortened(whole, 2)

    assert (short.n_batches, short.n_rows) == (2, 8)
    assert whole.n_batches > 2
    for index in range(2):
        assert torch.equal(short.epoch(1)[index].positives, whole.epoch(1)[index].positives)


@pytest.mark.parametrize("max_batches", [0, 10_000])
def test_a_plan_that_is_short_enough_is_left_alone(split, max_batches):
    """0 is no bound."""
    whole = BatchPlan(split, BatchSettings(4, 8), 0, "batches")

    assert shortened(whole, max_batches) is whole
