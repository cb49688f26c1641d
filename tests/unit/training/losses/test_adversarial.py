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


def step_by_hand(direction, where="all"):
    """How far each of two logits moves for the linear score ``u . e`` with ``u = (3, 4)``.

    The softmax loss of the positive has the gradient ``-(1 - p) u`` by the positive and ``(1 - p) u``
    by the negative, so that the positive's logit falls and the negative's rises.
    """
    user = torch.tensor([3.0, 4.0])
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # mean absolute coordinate 1 / 2
    seen = []

    def logits_of(moved):
        seen.append(moved.detach())
        return moved @ user

    mask = torch.ones(1, 2, dtype=torch.bool)
    found = adversarial_loss(logits_of, vectors, mask, 0.2, direction, where)
    assert found.epsilon == pytest.approx(0.2 / 2)
    return (seen[1] - vectors)[0]


def test_the_sign_step_moves_every_coordinate_alike():
    """Epsilon is 0.1; against ``u`` for the positive, along it for the negative."""
    expected = torch.tensor([[-0.1, -0.1], [0.1, 0.1]])

    assert torch.allclose(step_by_hand("sign"), expected)


def test_the_gradient_step_is_as_long_and_follows_the_gradient():
    """``0.1 * sqrt(2)`` along ``(3, 4) / 5``."""
    length = 0.1 * 2**0.5
    expected = length * torch.tensor([[-3 / 5, -4 / 5], [3 / 5, 4 / 5]])

    assert torch.allclose(step_by_hand("gradient"), expected)
    lengths = [step_by_hand(direction).norm(dim=1) for direction in ("sign", "gradient")]
    assert torch.allclose(lengths[0], lengths[1])


@pytest.mark.parametrize(("where", "moved"), [("positive", [1, 0]), ("negatives", [0, 1])])
def test_only_the_named_items_move(where, moved):
    """The others stay where they are."""
    steps = step_by_hand("sign", where)

    assert (steps.abs().sum(dim=1) > 0).tolist() == [bool(flag) for flag in moved]


def test_a_vanished_gradient_moves_nothing():
    """A score that ignores the items has no worst direction, and no NaN."""
    mask = torch.ones(1, 2, dtype=torch.bool)
    for direction in ("sign", "gradient"):
        found = adversarial_loss(
            lambda e: (0.0 * e).sum(dim=2), torch.eye(2)[None], mask, 0.5, direction
        )
        assert float(found.loss) == 0.0


@pytest.mark.parametrize("direction", ["sign", "gradient"])
def test_the_step_never_makes_the_positive_likelier(direction):
    """Either direction climbs the loss of a linear score."""
    _, vectors, logits_of = setup()
    before = torch.log_softmax(logits_of(vectors), 1)[0, 0]
    seen = []

    def keep(e):
        seen.append(logits_of(e))
        return seen[-1]

    adversarial_loss(keep, vectors, ALL, 0.3, direction)

    assert torch.log_softmax(seen[1], 1)[0, 0] < before
