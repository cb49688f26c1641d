"""What stage 1 must not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from training.batches import BatchSettings
from training.data import Ragged
from training.held_batches import held_plan
from training.holdout import hold_out
from vizsla.models.recommender.base import PADDING

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=30, unique=True), min_size=1, max_size=8).map(
    Ragged.from_lists
)


@given(ROWS, st.floats(0, 0.9), st.booleans(), st.integers(0, 99))
def test_both_parts_together_are_the_data(train, ratio, ordered, seed):
    """Nothing is lost or doubled, and two items of each row stay where there are two."""
    parts = hold_out(train, ratio, np.random.default_rng(seed), ordered=ordered)

    for row in range(len(train)):
        kept, held = parts.kept[row].tolist(), parts.held[row].tolist()
        assert sorted(kept + held) == sorted(train[row].tolist())
        assert len(kept) >= min(2, len(train[row]))
        if ordered:
            assert kept + held == train[row].tolist()


def test_the_share_is_right_on_average_even_for_short_rows():
    """A tenth of rows of five is half an item: every second row gives one."""
    train = Ragged.from_lists([[1, 2, 3, 4, 5]] * 2000)

    parts = hold_out(train, 0.1, np.random.default_rng(0), ordered=False)

    assert set(parts.held.lengths.tolist()) == {0, 1}
    assert abs(len(parts.held.values) / len(train.values) - 0.1) < 0.01


@pytest.mark.parametrize("kind", ["split", "unordered_split"])
def test_targets_are_held_out_and_contexts_are_what_was_known(request, kind):
    """Each held-out item is asked once per epoch; a context without order holds kept items only."""
    split = request.getfixturevalue(kind)
    ordered = split.order != "none"
    parts = hold_out(split.train, 0.3, np.random.default_rng(1), ordered=ordered)
    plan = held_plan(split, parts, BatchSettings(7, 50), seed=0)

    asked = []
    epoch = plan.epoch(0)
    for index in range(plan.n_batches):
        batch = epoch[index]
        asked += zip(batch.target_users.tolist(), batch.positives.tolist(), strict=True)
        if not ordered:
            for user, row in zip(batch.users.tolist(), batch.sequences.item_nums, strict=True):
                seen = set(row[row != PADDING].tolist())
                assert seen == set(parts.kept[user].tolist())

    held = [(user, item) for user, row in enumerate(parts.held) for item in row.tolist()]
    assert sorted(asked) == sorted(held)
