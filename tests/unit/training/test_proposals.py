"""Draws of items that a user does not have."""

import torch
from hypothesis import given, settings, strategies as st

from training.data import Ragged
from training.proposals import Proposal, draw_unseen
from training.seen_items import SeenItems


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_items_of_weight_zero_are_never_drawn():
    """The cumulative sum is inverted so that empty intervals are stepped over."""
    drawn = Proposal(torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0])).draw((3000,), generator())

    assert set(drawn.tolist()) == {1, 3}


def test_shares_are_those_of_the_weights():
    """Over 20,000 draws every share is within 1.5 points of its weight."""
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    drawn = Proposal(weights).draw((20_000,), generator())
    shares = torch.bincount(drawn, minlength=4) / 20_000

    assert (shares - weights / 10).abs().max() < 0.015


def test_popularity_flattens_with_alpha():
    """Counts of 1 and 16 under alpha 0.5 are drawn 1 to 4, and an item never seen never."""
    proposal = Proposal.popularity(torch.tensor([1, 16, 0]), 0.5)

    assert torch.allclose(proposal.log_q.exp(), torch.tensor([1 / 5, 4 / 5, 0.0]))


@settings(max_examples=40)
@given(
    st.lists(st.sets(st.integers(0, 7)).map(sorted), min_size=1, max_size=4),
    st.integers(1, 6),
    st.booleans(),
    st.integers(0, 3),
)
def test_valid_draws_are_unseen(rows, count, distinct, seed):
    """No valid draw is an item of the user, whatever is left; distinct draws do not repeat."""
    seen = SeenItems(Ragged.from_lists(rows), 8)
    users = torch.arange(len(rows))
    draw = draw_unseen(Proposal.uniform(8), seen, users, count, generator(seed), distinct=distinct)

    for row, items in enumerate(rows):
        kept = draw.item_nums[row][draw.valid[row]].tolist()
        n_left = 8 - len(items)
        assert not set(kept) & set(items)
        assert len(kept) == (min(count, n_left) if distinct else count * (n_left > 0))
        assert not distinct or len(set(kept)) == len(kept)


def test_the_complement_of_a_user_with_almost_everything_is_found():
    """999 of 1,000 items seen: rejection gives up and the one left is drawn exactly."""
    seen = SeenItems(Ragged.from_lists([list(range(999))]), 1000)
    draw = draw_unseen(Proposal.uniform(1000), seen, torch.tensor([0]), 4, generator())

    assert draw.item_nums.tolist() == [[999] * 4]


def test_conditional_shares_follow_the_proposal():
    """What is left after rejection keeps its proportions: weights 1 and 3 without the seen item."""
    seen = SeenItems(Ragged.from_lists([[1]]), 3)
    users = torch.zeros(4000, dtype=torch.int64)
    draw = draw_unseen(Proposal(torch.tensor([1.0, 6.0, 3.0])), seen, users, 1, generator())

    assert abs(float((draw.item_nums == 2).float().mean()) - 3 / 4) < 0.03
