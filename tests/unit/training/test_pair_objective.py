"""One step of a backbone, by hand."""

import math

import pytest
import torch

from training.backbone_recipe import BackboneRecipe
from training.bench.reference import LEARNING_RATE, REG
from training.data import Ragged
from training.objective import NegativeSource, build_sampler
from training.optimizers import build_optimizer
from training.pair_objective import PairObjective
from training.pairs import PairBatch
from training.plans import Moment
from training.recipe import NegativeSettings
from training.samplers.base import SamplerData
from training.seen_items import SeenItems
from vizsla.models.recommender.mf import MatrixFactorisation


def make(**changes):
    """Two items, one user who has item 0: the negative can only be item 1."""
    train = Ragged.from_lists([[0]])
    data = SamplerData(train, SeenItems(train, 2), torch.tensor([1, 0]))
    recipe = BackboneRecipe(**{"model_settings": {"embedding_size": 2}, **changes})
    sampler = build_sampler("negatives", recipe.negatives, data, 0)
    model = MatrixFactorisation(1, 2, MatrixFactorisation.Config(embedding_size=2))
    model.users.data = torch.tensor([[1.0, 2.0]])
    model.items.data = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
    source = NegativeSource("negatives", recipe.negatives, sampler)
    return model, recipe, PairObjective(model, recipe, source)


def batch(n=1):
    return PairBatch(torch.zeros(n, dtype=torch.int64), torch.zeros(n, dtype=torch.int64))


def test_the_loss_by_hand():
    """Scores 0.5 and 1.0: softplus of their difference, and half the squares of what is touched."""
    _, _, objective = make(touched_reg=0.1)
    found = objective(batch(), Moment())
    penalty = 0.5 * 0.1 * (1 + 4 + 0.25 + 0.25)

    assert float(found.loss.detach()) == pytest.approx(math.log1p(math.exp(0.5)) + penalty)
    assert found.figures["example_loss"] == pytest.approx(math.log1p(math.exp(0.5)))


def test_a_sum_grows_with_the_batch_and_a_mean_does_not():
    """Three times the same pair."""
    losses = {
        reduction: [
            float(make(reduction=reduction)[2](batch(n), Moment()).loss.detach()) for n in (1, 3)
        ]
        for reduction in ("sum", "mean")
    }

    assert losses["sum"][1] == pytest.approx(3 * losses["sum"][0])
    assert losses["mean"][1] == pytest.approx(losses["mean"][0])


def test_a_step_of_one_pair_is_a_step_of_the_released_recipe():
    """``u += lr ((1 - sigmoid(x_i - x_j)) (v_i - v_j) - reg u)``, and so for the items.

    The release moves the items by the user's new vector, here by the old one: the
    difference is of the order of the squared learning rate.
    """
    model, recipe, objective = make()
    optimizer = build_optimizer(model, recipe)
    user, (liked, other) = model.users[0].detach().clone(), model.items.detach().clone()
    objective(batch(), Moment()).loss.backward()
    optimizer.step()
    slope = 1 - 1 / (1 + math.exp(0.5))

    assert recipe.learning_rate == LEARNING_RATE
    assert torch.allclose(
        model.users[0], user + LEARNING_RATE * (slope * (liked - other) - REG * user)
    )
    assert torch.allclose(model.items[0], liked + LEARNING_RATE * (slope * user - REG * liked))
    assert torch.allclose(model.items[1], other + LEARNING_RATE * (-slope * user - REG * other))


def test_the_softmax_loss_takes_corrected_logits():
    """One negative drawn with probability 1/2 stands for two: log(1 + 2 e^(1.0 - 0.5))."""
    negatives = NegativeSettings(n_negatives=1, options={"shared": False}, logq="negatives")
    _, _, objective = make(loss="sampled-softmax", negatives=negatives, touched_reg=0.0)
    found = objective(batch(), Moment())

    assert float(found.loss.detach()) == pytest.approx(math.log1p(2 * math.exp(0.5)))


def test_draws_are_watched():
    """Whoever watches is told of every draw, its seconds, and can score it."""
    seen = []
    model, recipe, objective = make()
    watched = PairObjective(
        model,
        recipe,
        objective._source,
        lambda request, drawn, seconds: seen.append(
            (request.score(drawn.item_nums).tolist(), seconds >= 0)
        ),
    )
    watched(batch(), Moment())

    assert seen == [([[1.0]], True)]
