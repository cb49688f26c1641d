"""The adversarial task."""

import pytest
import torch

from training.losses.adversarial import adversarial_loss, relative_epsilon

ALL = torch.ones(1, 3, dtype=torch.bool)


def setup(seed=0):
    generator = torch.Generator().manual_seed(seed)
    user = torch.randn(1, 4, 1, generator=generator).requires_grad_()
    vectors = torch.randn(1, 3, 4, generator=generator).requires_grad_()
    return user, vectors, lambda e: (e @ user)[..., 0]


def test_no_perturbation_no_divergence():
    """At rho 0 both sides are the same."""
    _, vectors, logits_of = setup()
    found = adversarial_loss(logits_of, vectors, ALL, 0.0)

    assert float(found.loss.detach()) == 0.0
    assert found.sensitivity == 0.0


def test_the_divergence_is_positive_and_grows_with_rho():
    """KL is at least 0, and a longer step is no easier."""
    _, vectors, logits_of = setup()
    small, large = (adversarial_loss(logits_of, vectors, ALL, rho) for rho in (0.1, 0.5))

    assert 0 < float(small.loss.detach()) < float(large.loss.detach())


def test_the_step_worsens_the_answer_as_predicted():
    """For a linear score the step moves each logit by epsilon times the sum of |u|."""
    user, vectors, logits_of = setup()
    found = adversarial_loss(logits_of, vectors, ALL, 0.1)
    expected = found.epsilon * float(user.detach().abs().sum())

    assert found.sensitivity == pytest.approx(expected, rel=1e-4)
    assert found.epsilon == pytest.approx(0.1 * float(vectors.detach().abs().mean()))


def test_the_clean_side_and_the_direction_carry_no_gradient():
    """The gradient is that of the perturbed side alone, with constant target and direction."""
    user, vectors, logits_of = setup()
    found = adversarial_loss(logits_of, vectors, ALL, 0.2)
    (gradient,) = torch.autograd.grad(found.loss, vectors)
    clean = torch.softmax(logits_of(vectors), 1).detach()
    moved = vectors.detach()
    step = torch.softmax(logits_of(moved), 1) - torch.eye(3)[:1]
    direction = (step[..., None] * user.detach()[..., 0][:, None]).sign()
    answer = torch.softmax(logits_of(moved + found.epsilon * direction), 1)
    by_hand = (answer - clean)[..., None] * user.detach()[..., 0][:, None]

    assert torch.allclose(gradient, by_hand, atol=1e-6)


def test_masked_items_take_no_part():
    """The loss of two items is not changed by a masked third."""
    _, vectors, logits_of = setup()
    mask = torch.tensor([[True, True, False]])
    masked = adversarial_loss(logits_of, vectors, mask, 0.0)
    wild = vectors.detach().clone()
    wild[:, 2] = 100.0
    step = relative_epsilon(vectors, 0.3) / float(wild.abs().mean())
    first = adversarial_loss(logits_of, vectors, mask, 0.3)
    second = adversarial_loss(logits_of, wild, mask, step)

    assert float(masked.loss.detach()) == 0.0
    assert torch.allclose(first.loss, second.loss, atol=1e-6)


def test_epsilon_scales_with_the_vectors():
    """Vectors ten times as long are perturbed ten times as far: growing does not help."""
    vectors = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))

    assert relative_epsilon(10 * vectors, 0.1) == pytest.approx(10 * relative_epsilon(vectors, 0.1))
