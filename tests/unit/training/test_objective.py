"""What a step computes."""

from dataclasses import replace

import pytest
import torch

from training.batches import BatchPlan, BatchSettings
from training.model import new_matcher
from training.objective import Objective, build_sources, sampler_settings
from training.plans import Moment
from training.recipe import NegativeSettings
from training.samplers.base import SamplerData
from vizsla.errors import ConfigError, UnknownNameError


@pytest.fixture
def make(small_recipe, split):
    """Build the objective of stage 2 with further settings, and a batch."""

    def build(**changes):
        recipe = small_recipe(**{f"stage2__{key}": value for key, value in changes.items()})
        matcher = new_matcher(recipe, split, seed=0)
        sources = build_sources(recipe.stage2, SamplerData.from_split(split), seed=0)
        plan = BatchPlan(split, BatchSettings(16, recipe.max_history), 0, "test")
        return Objective(matcher, recipe.stage2, sources), plan.epoch(0)[0], matcher

    return build


def test_the_total_is_the_weighted_sum(make):
    """Deep loss times its weight, plus two-sided loss times its own, plus the task's."""
    objective, batch, _ = make(deep_weight=2.0, two_sided_weight=0.5, adversarial__weight=3.0)
    found = objective(batch, Moment(0, 1.0))
    figures = found.figures
    expected = 2.0 * figures["deep_loss"] + 0.5 * figures["two_sided_loss"] + 3.0 * figures["kl"]

    assert float(found.loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_the_task_waits_for_its_time(make):
    """Before its share of the steps it is not computed."""
    objective, batch, _ = make(adversarial__start_ratio=0.5)

    assert "kl" not in objective(batch, Moment(0, 0.49)).figures
    assert "kl" in objective(batch, Moment(0, 0.5)).figures


def test_a_two_sided_stage_does_not_touch_the_deep_branch(make):
    """No gradient there, so no cost either."""
    objective, batch, matcher = make(deep_weight=0.0, adversarial__weight=0.0)
    objective(batch, Moment(0, 1.0)).loss.backward()

    assert all(p.grad is None for p in matcher.score_net.parameters())
    assert matcher.items.ids.weight.grad is not None


def test_the_deep_score_may_see_fewer_negatives(make):
    """The two-sided head sees them all, so its loss does not change; the deep one's shrinks."""
    all_seen, batch, _ = make(deep_weight=1.0)
    few_seen, _, _ = make(deep_weight=1.0, deep_negatives=2)
    none_seen, _, _ = make(deep_weight=1.0, deep_negatives=0)
    figures = [
        objective(batch, Moment(0, 0.0)).figures for objective in (all_seen, few_seen, none_seen)
    ]
    deep = [f["deep_loss"] for f in figures]

    assert figures[0]["two_sided_loss"] == figures[1]["two_sided_loss"]
    assert deep[0] > deep[1] > deep[2]


def test_the_loss_of_a_batch_does_not_depend_on_the_order_of_its_targets(make):
    """Own negatives apart, a permutation of the targets gives the same mean."""
    changes = {"hard__n_negatives": 0, "adversarial__weight": 0.0, "deep_weight": 1.0}
    (one, batch, _), (other, _, _) = make(**changes), make(**changes)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    mixed = type(batch)(
        batch.sequences,
        batch.rows[order],
        batch.columns[order],
        batch.users[order],
        batch.positives[order],
    )

    assert torch.allclose(
        one(batch, Moment(0, 0.0)).loss, other(mixed, Moment(0, 0.0)).loss, atol=1e-5
    )


def test_unknown_names_and_options_are_refused(make):
    """Before anything is trained."""
    with pytest.raises(UnknownNameError, match="unknown sampler"):
        make(negatives__sampler="unifrom")
    with pytest.raises(ConfigError, match=r"unknown recipe setting 'negatives\.options\.shard'"):
        make(negatives__options={"shard": True})


@pytest.mark.parametrize(
    ("sampler", "options", "logq", "message"),
    [
        ("bns", {}, "negatives", "set it to 'off'"),
        ("ahns", {}, "all", "set it to 'off'"),
        ("softmax", {}, "all", "set it to 'off' or 'negatives'"),
    ],
)
def test_corrections_by_unknown_probabilities_are_refused(sampler, options, logq, message):
    """A sampler that chooses among its draws does not know how likely each choice was."""
    own = NegativeSettings(sampler=sampler, options=options, logq=logq, n_negatives=2)
    with pytest.raises(ConfigError, match=message):
        sampler_settings("stage2.hard", own)


def test_reweighted_candidates_keep_their_correction():
    """Nothing is chosen, so every draw's probability is known."""
    own = NegativeSettings(sampler="bns", options={"combiner": "reweight"}, logq="negatives")

    assert sampler_settings("stage2.hard", own).combiner == "reweight"


@pytest.mark.parametrize("sampler", ["uniform", "dns"])
@pytest.mark.parametrize("loss", ["sampled-softmax", "bpr"])
def test_shared_contexts_equal_repeated_ones(small_recipe, unordered_split, sampler, loss):
    """One state per context, looked up by its targets, gives the loss of one state per target."""
    recipe = small_recipe(
        "unordered",
        stage2__negatives__sampler=sampler,
        stage2__negatives__n_negatives=100 if sampler == "uniform" else 12,
        stage2__hard__n_negatives=0,
        stage2__loss=loss,
        stage2__adversarial__start_ratio=0.0,
    )
    plan = BatchPlan(unordered_split, BatchSettings(16, 8, split_ratio=0.4), 0, "test")
    shared = plan.epoch(0)[0]
    repeated = replace(
        shared,
        rows=shared.rows[shared.seen_from],
        columns=shared.columns[shared.seen_from],
        users=shared.target_users,
        seen_from=None,
    )
    losses = []
    for batch in (shared, repeated):
        matcher = new_matcher(recipe, unordered_split, seed=0)
        sources = build_sources(recipe.stage2, SamplerData.from_split(unordered_split), seed=0)
        losses.append(Objective(matcher, recipe.stage2, sources)(batch, Moment(0, 1.0)).loss)

    assert torch.allclose(losses[0], losses[1], atol=1e-5)
