"""Losses by hand, and what masking means."""

import math

import pytest
import torch

from training.losses.base import LogitBatch
from training.losses.bpr import bpr
from training.losses.logq import correct
from training.losses.sampled_softmax import sampled_softmax


def batch(positive, negative, weight=None):
    negative = torch.tensor([negative], requires_grad=True)
    weight = torch.ones_like(negative) if weight is None else torch.tensor([weight])
    return LogitBatch(torch.tensor([positive], requires_grad=True), negative, weight)


def test_sampled_softmax_by_hand():
    """One positive of logit log 2 against two of 0: -log(2 / 4)."""
    loss = sampled_softmax(batch(math.log(2), [0.0, 0.0]))

    assert float(loss.detach()) == pytest.approx(-math.log(2 / 4))


def test_a_masked_negative_has_no_gradient():
    """Weight 0 takes an accidental hit out of the sum and of the gradient."""
    logits = batch(0.0, [0.0, 50.0], [1.0, 0.0])
    loss = sampled_softmax(logits)
    loss.sum().backward()

    assert float(loss.detach()) == pytest.approx(math.log(2))
    assert logits.negative.grad.tolist() == [[0.5, 0.0]]


def test_a_positive_without_any_negative_costs_nothing():
    """A user who has everything gives loss 0 and a finite gradient."""
    logits = batch(1.0, [3.0, 4.0], [0.0, 0.0])
    loss = sampled_softmax(logits)
    loss.sum().backward()

    assert float(loss.detach()) == 0.0
    assert torch.isfinite(logits.negative.grad).all()


def test_weights_count_like_copies():
    """A negative of weight 2 is two negatives."""
    double = sampled_softmax(batch(0.3, [1.0], [2.0]))

    assert torch.allclose(double, sampled_softmax(batch(0.3, [1.0, 1.0])))


def test_bpr_by_hand():
    """Differences 0 and log 3: the mean of log 2 and log(1 + 1/3)."""
    loss = bpr(batch(math.log(3), [math.log(3), 0.0]))

    assert float(loss.detach()) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_bpr_leaves_masked_negatives_out_of_the_mean():
    """The second negative has weight 0."""
    assert torch.allclose(bpr(batch(0.0, [0.0, 9.0], [1.0, 0.0])), torch.tensor(math.log(2)))


def test_logq_off_changes_nothing():
    """The batch comes back as it was."""
    logits = batch(1.0, [2.0])

    assert correct(logits, torch.zeros(1), torch.zeros(1), "off") is logits


def test_logq_of_all_cancels_for_uniform_draws():
    """Where every item is as likely, subtracting the same from all logits leaves the loss."""
    logits, log_q = batch(1.0, [2.0, 0.5]), torch.full((2,), math.log(1 / 10))
    corrected = correct(logits, log_q[:1], log_q, "all")

    assert torch.allclose(sampled_softmax(corrected), sampled_softmax(logits))


def test_logq_lifts_rare_negatives():
    """An item drawn a tenth as often counts ten times as much."""
    log_q = torch.log(torch.tensor([0.5, 0.05]))
    corrected = correct(batch(0.0, [0.0, 0.0]), torch.zeros(1), log_q, "negatives").negative

    assert float((corrected[0, 1] - corrected[0, 0]).detach().exp()) == pytest.approx(10)


def test_logq_estimates_the_full_softmax():
    """Over many draws, the mean of the corrected sum is the sum over the whole catalogue."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, generator=generator)
    q = torch.softmax(torch.randn(50, generator=generator), 0)
    drawn = torch.multinomial(q, 200_000, replacement=True, generator=generator)
    logits = LogitBatch(torch.zeros(1), scores[drawn][None], torch.ones(1, len(drawn)))
    corrected = correct(logits, torch.zeros(1), torch.log(q)[drawn], "negatives")

    assert torch.allclose(corrected.negative.exp().sum(), scores.exp().sum(), rtol=0.02)
