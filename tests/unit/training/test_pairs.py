"""Batches of single interactions."""

import torch

from training.data import Ragged
from training.pairs import PairPlan

ROWS = Ragged.from_lists([[3, 1], [], [2, 0, 4]])


def all_pairs(plan, epoch):
    batches = [plan.epoch(epoch)[index] for index in range(plan.n_batches)]
    return [(int(u), int(i)) for b in batches for u, i in zip(b.users, b.positives, strict=True)]


def test_an_epoch_has_every_interaction_once():
    """Five pairs in batches of two: three batches, the last one short."""
    plan = PairPlan(ROWS, 2, seed=0)

    assert (plan.n_rows, plan.n_batches, plan.batch_size) == (5, 3, 2)
    assert sorted(all_pairs(plan, 0)) == [(0, 1), (0, 3), (2, 0), (2, 2), (2, 4)]
    assert len(plan.epoch(0)[2]) == 1


def test_batches_are_functions_of_seed_and_place():
    """Another epoch has another order; the same one can be redone."""
    plan, again = PairPlan(ROWS, 2, seed=0), PairPlan(ROWS, 2, seed=0)

    assert all_pairs(plan, 1) == all_pairs(again, 1)
    assert len({tuple(all_pairs(plan, epoch)) for epoch in range(5)}) > 1
    assert torch.equal(plan.epoch(3)[1].users, again.epoch(3)[1].users)
