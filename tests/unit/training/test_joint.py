"""Two scores that learn side by side without touching each other."""

import pytest
import torch

from training.batches import BatchPlan, BatchSettings
from training.joint import stage_objective
from training.model import new_matcher
from training.objective import build_sources
from training.plans import Moment
from training.samplers.base import SamplerData

DEEP = ("attention.", "score_net.")


@pytest.fixture
def make(small_recipe, split):
    """Build a joint objective and a batch."""

    def build(**changes):
        both = {"joint_targets": 8, "two_sided_weight": 1.0, "deep_weight": 1.0, "trained": DEEP}
        recipe = small_recipe(
            **{f"stage2__{key}": value for key, value in (both | changes).items()}
        )
        matcher = new_matcher(recipe, split, seed=0)
        sources = build_sources(recipe.stage2, SamplerData.from_split(split), seed=0)
        plan = BatchPlan(split, BatchSettings(16, recipe.max_history), 0, "test")
        return stage_objective(matcher, recipe.stage2, sources), plan.epoch(0)[0], matcher

    return build


def gradients(matcher):
    return {n: p.grad.clone() for n, p in matcher.named_parameters() if p.grad is not None}


def test_the_base_learns_as_if_it_were_alone(make):
    """Its gradient is the one of the two-sided loss, with the deep score or without."""
    joint, batch, matcher = make()
    torch.random.manual_seed(3)
    joint(batch, Moment(0, 0.0)).loss.backward()
    alone, _, other = make(joint_targets=0, deep_weight=0.0, hard__n_negatives=0)
    torch.random.manual_seed(3)
    alone(batch, Moment(0, 0.0)).loss.backward()

    base = {n: g for n, g in gradients(matcher).items() if not n.startswith(DEEP)}
    assert base.keys() == gradients(other).keys()
    assert all(torch.equal(g, gradients(other)[n]) for n, g in base.items())


def test_the_deep_part_learns_from_its_share_of_the_targets(make):
    """It gets a gradient, and afterwards everything may learn again."""
    joint, batch, matcher = make()
    found = joint(batch, Moment(0, 1.0))
    found.loss.backward()

    assert any(n.startswith("score_net.") and g.any() for n, g in gradients(matcher).items())
    assert {"deep_loss", "two_sided_loss", "kl"} <= found.figures.keys()
    assert matcher.items.ids.weight.requires_grad


def test_some_targets_of_a_batch(make):
    """The choice is of the asked size, and keeps each target with its place and user."""
    _, batch, _ = make()
    some = batch.some(5)

    assert len(some) == 5
    items = some.sequences.item_nums[some.rows, some.columns]
    assert torch.equal(items, some.positives)
