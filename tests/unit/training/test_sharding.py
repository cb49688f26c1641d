"""Shards: parts of a batch whose gradients sum to the same, whoever computes them."""

import pytest
import torch

from training.batches import BatchPlan, BatchSettings
from training.run_log import RunLog
from training.sharding import cut_batch, for_shards, shard_bounds, tree_sum
from training.trainer import RunOptions, Trainer
from training.validation import ranking_validator, validation_cases
from vizsla.clock import FakeClock


def train(recipe, split, out, **options):
    """Run a recipe; returns the weights, or None when stopped."""
    validate = ranking_validator(split, validation_cases(split, 0, 0))
    matcher = Trainer(recipe, split, RunOptions(out, **options), validate).run()
    return matcher and matcher.state_dict()


def batches(split, split_ratio=0.0):
    plan = BatchPlan(split, BatchSettings(10, 8, split_ratio=split_ratio), seed=0, purpose="test")
    return plan.epoch(0)


@pytest.mark.parametrize("kind", ["each", "split"])
def test_shards_make_up_the_batch(rich_split, unordered_split, kind):
    """Every sequence, context and target is in exactly one shard, with its own neighbours."""
    split, ratio = (rich_split, 0.0) if kind == "each" else (unordered_split, 0.4)
    batch = batches(split, ratio)[0]
    parts = [cut_batch(batch, *bounds) for bounds in shard_bounds(10, 4)]

    assert sum(map(len, parts)) == len(batch)
    for name in ("positives", "target_users", "columns"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert joined.equal(getattr(batch, name))
    sequences = torch.cat([part.sequences.item_nums for part in parts])
    assert sequences.equal(batch.sequences.item_nums)
    contexts = torch.cat([context_of_targets(part) for part in parts])
    assert contexts.equal(context_of_targets(batch))


def context_of_targets(batch):
    rows = batch.rows if batch.seen_from is None else batch.rows[batch.seen_from]
    return batch.sequences.item_nums[rows]


def test_the_tree_pairs_neighbours():
    """Half the parts summed alone and then together are the same tree."""

    class Text(str):
        def __add__(self, other):
            return Text(f"({self}{other})")

    parts = [Text(letter) for letter in "abcdefgh"]

    assert tree_sum(parts) == "(((ab)(cd))((ef)(gh)))"
    assert tree_sum([tree_sum(parts[:4]), tree_sum(parts[4:])]) == tree_sum(parts)
    assert tree_sum(parts[:3]) == "((ab)c)"


def test_more_shards_than_sequences_leave_empty_ones():
    """The first shards hold what there is."""
    assert shard_bounds(2, 4) == [(0, 1), (1, 2), (2, 2), (2, 2)]


def test_joint_targets_are_shared_out(small_recipe):
    """Four shards together ask for what a batch asks for."""
    settings = small_recipe(stage2__joint_targets=10, stage2__trained=["score_net."]).stage2

    assert for_shards(settings, 4).joint_targets == 3


def test_one_shard_is_the_whole_batch_with_other_draws(small_recipe, split, tmp_path):
    """With every item as a negative nothing is drawn: one shard and four give the same model."""
    recipe = small_recipe(
        stage1__negatives__n_negatives=60, stage2__epochs=0, stage1__split_ratio=0.0
    )
    whole = train(recipe, split, tmp_path / "whole")
    for n_shards in (1, 4):
        sharded = recipe.model_copy(update={"shards": n_shards})
        found = train(sharded, split, tmp_path / f"shards {n_shards}")
        torch.testing.assert_close(found, whole, rtol=0, atol=2e-4)


def test_sharded_training_resumes_to_the_same_bits(small_recipe, split, tmp_path):
    """Generators are functions of the place, dropout's too: nothing of them needs keeping."""
    recipe = small_recipe(shards=4, model_settings__dropout=0.3)
    whole = train(recipe, split, tmp_path / "whole")
    answers = iter([False] * 7 + [True])
    train(recipe, split, tmp_path / "cut", should_stop=lambda: next(answers))
    resumed = train(recipe, split, tmp_path / "cut", resume=True)

    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_an_epoch_says_what_it_cost(small_recipe, split, tmp_path):
    """Seconds and steps of every epoch, in the log."""
    train(small_recipe(shards=2), split, tmp_path, clock=FakeClock(1.7e9))
    records = RunLog(tmp_path / "log.jsonl").read()
    costs = [record for record in records if record["event"] == "epoch"]

    assert [(cost["stage"], cost["epoch"]) for cost in costs] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {cost["n_workers"] for cost in costs} == {1}
    assert all(cost["n_steps"] > 0 for cost in costs)
