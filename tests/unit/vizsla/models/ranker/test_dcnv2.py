"""The mixture of low-rank cross layers against the paper's equations."""

from __future__ import annotations

from math import exp, tanh

import pytest
import torch

from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import ConfigError
from vizsla.models.ranker import build_ranker
from vizsla.models.ranker.dcnv2 import ExpertCross

FIELD = RankerField(spec=FieldSpec(name="user"), n_codes=5, dim=4)
SCHEMA = RankingSchema(frame="toy", frame_hash="f", vocabulary_hash="v", fields=(FIELD,))


def test_two_experts_of_rank_one_by_hand():
    """Width 2; one expert looks at the first column and writes to both, the other the reverse."""
    layer = ExpertCross(2, rank=1, experts=2)
    with torch.no_grad():
        layer.down.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        layer.within.copy_(torch.tensor([[[3.0]], [[-1.0]]]))
        layer.up.weight.copy_(torch.tensor([[1.0, 0.5], [2.0, 0.0]]))
        layer.up.bias.copy_(torch.tensor([0.25, -0.5]))
        layer.gate.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    one, other = 0.3, -0.4
    first = exp(one) / (exp(one) + exp(other))
    a, b = tanh(3 * tanh(one)), tanh(-1 * tanh(2 * other))
    expected = [
        5 * (first * (1 * a + 0.25) + (1 - first) * (0.5 * b + 0.25)) + one,
        7 * (first * (2 * a - 0.5) + (1 - first) * (0 * b - 0.5)) + other,
    ]

    found = layer(torch.tensor([[5.0, 7.0]]), torch.tensor([[one, other]]))
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


@torch.no_grad()
def test_many_experts_are_the_sum_of_the_equations():
    """Expert by expert, as equations 3 and 4 are written, for any width and rank."""
    torch.nn.init.normal_((layer := ExpertCross(5, rank=3, experts=4)).up.bias)
    first, x = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    gates = (x @ layer.gate.weight.T).softmax(1)
    total = x.clone()
    for i in range(4):
        own = slice(3 * i, 3 * i + 3)
        v, u, c = layer.down.weight[own].T, layer.up.weight[:, own], layer.within[i]
        expert = first * ((u @ (c @ (v.T @ x.T).tanh()).tanh()).T + layer.up.bias)
        total += gates[:, i : i + 1] * expert

    torch.testing.assert_close(layer(first, x), total)


def test_every_expert_is_drawn_and_learns():
    """A seed fixes the start, and the gate lets gradients through to all."""
    settings = {"experts": 3, "rank": 2, "hidden": [4]}
    ranker, same = (build_ranker(SCHEMA, "dcnv2", settings) for _ in range(2))
    for one in (ranker, same):
        one.reset_parameters(torch.Generator().manual_seed(1))
    layer = ranker.backbone.cross[0]
    layer(torch.randn(8, 4), torch.randn(8, 4)).sum().backward()

    assert torch.equal(layer.within, same.backbone.cross[0].within)
    assert all(weights.grad.abs().sum() > 0 for weights in layer.parameters())


def test_experts_without_a_rank_are_refused():
    """There is no mixture of full matrices."""
    with pytest.raises(ConfigError, match="3 experts need a rank above 0"):
        build_ranker(SCHEMA, "dcnv2", {"experts": 3})
