"""Backbones: what their vectors are, by hand."""

import pytest
import torch

from vizsla.models import BACKBONES
from vizsla.models.recommender.lightgcn import LightGcn, LightGcnConfig
from vizsla.models.recommender.mf import MatrixFactorisation


def graph(n_layers=1):
    """Two users, two items: user 0 has both, user 1 has item 1."""
    model = LightGcn(2, 2, LightGcnConfig(embedding_size=3, n_layers=n_layers))
    model.reset_parameters(torch.Generator().manual_seed(0))
    model.set_interactions(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    return model


def dense_adjacency():
    """Degrees: user 0 has 2, user 1 has 1; item 0 has 1, item 1 has 2."""
    block = torch.tensor([[1 / 2**0.5, 1 / 2], [0.0, 1 / 2**0.5]])
    zeros = torch.zeros(2, 2)
    return torch.cat([torch.cat([zeros, block], 1), torch.cat([block.T, zeros], 1)])


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_propagation_is_the_mean_over_powers_of_the_normalised_adjacency(n_layers):
    """Vectors and gradients equal those of dense products over users and items together."""
    model, dense = graph(n_layers), dense_adjacency()
    weights = torch.cat([model.users, model.items]).detach().requires_grad_()
    layers = [weights]
    for _ in range(n_layers):
        layers.append(dense @ layers[-1])
    expected = torch.stack(layers).mean(0)
    found = torch.cat(model.tables())
    (expected**3).sum().backward()
    (found**3).sum().backward()

    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(torch.cat([model.users.grad, model.items.grad]), weights.grad, atol=1e-6)


def test_an_item_nobody_has_keeps_a_share_of_its_embedding():
    """Without neighbours every further layer is zero, never NaN."""
    model = LightGcn(1, 2, LightGcnConfig(embedding_size=3))
    model.reset_parameters(torch.Generator().manual_seed(0))
    model.set_interactions(torch.tensor([0]), torch.tensor([0]))

    assert torch.allclose(model.tables()[1][1], model.items[1] / 2)


def test_the_embeddings_are_the_vectors_of_matrix_factorisation():
    """Nothing is computed."""
    model = MatrixFactorisation(2, 3, MatrixFactorisation.Config(embedding_size=4))

    assert model.tables() == (model.users, model.items)


def test_every_backbone_draws_its_weights_from_one_generator():
    """The same seed gives the same bits, and the configured spread."""
    for name in BACKBONES:
        kind = BACKBONES.load(name)
        models = [kind(100, 80, kind.Config(embedding_size=16, init_std=0.2)) for _ in range(2)]
        for model in models:
            model.reset_parameters(torch.Generator().manual_seed(3))
        assert torch.equal(models[0].users, models[1].users)
        assert abs(float(models[0].items.detach().std()) - 0.2) < 0.02
