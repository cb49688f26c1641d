"""What scorers offer beyond scores: derivatives by the item vector, and components with a bound."""

import numpy as np
import pytest
import torch

from vizsla.contracts.index import ComponentScorer, GradientScorer, Query
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.loading import (
    build_matcher,
    load_scorer,
    matcher_scorer,
    matcher_weights,
)
from vizsla.rng import torch_generator

CONFIG = {"n_items": 40, "embedding_size": 8, "max_history": 6}
QUERIES = [Query(np.array([1, 2, 3])), Query(np.array([9, 30]))]


def matcher(name, weight=1.0):
    made = build_matcher(name, CONFIG)
    made.reset_parameters(torch_generator(0, "init"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch_generator(1, "more")))
        if name == "mixture_of_logits":
            made.weight.fill_(weight)
    return made.eval()


@pytest.mark.parametrize("name", ["nann", "two_sided", "mixture_of_logits"])
def test_the_derivative_is_that_of_the_score(name):
    """A small step along it changes the score by as much as it says."""
    made = matcher(name)
    scorer = matcher_scorer(made)
    state = scorer.user_state(QUERIES)
    query_of, items = np.array([0, 0, 1]), np.array([5, 7, 5])
    slopes = torch.from_numpy(scorer.gradient(state, query_of, items))

    assert isinstance(scorer, GradientScorer)
    for slope, query, item in zip(slopes, query_of, items, strict=True):
        vector = torch.from_numpy(scorer.item_vectors[item].copy())
        step = 3e-3 * slope / slope.norm()
        pair = torch.stack([vector + step, vector - step])
        own = Matcher.fold(made, state.state, int(query))
        with torch.inference_mode():
            above, below = made.scores(own, pair)[0]
        assert float(above - below) == pytest.approx(6e-3 * float(slope.norm()), rel=0.02)


@pytest.mark.parametrize("weight", [2.0, 0.0, -2.0])
def test_no_score_exceeds_the_bound_of_its_components(weight):
    """Whatever the sign of the mixture's weight."""
    made = matcher("mixture_of_logits", weight)
    scorer = load_scorer("mixture_of_logits", made.config.model_dump(), matcher_weights(made))
    state = scorer.user_state(QUERIES)
    products = np.einsum("bis,njs->bnij", scorer.components(state), scorer.item_components)
    bounds = scorer.proxy(state) @ scorer.item_vectors.T + products.max(axis=(2, 3))

    assert isinstance(scorer, ComponentScorer)
    for query in range(2):
        scores = scorer.score(state, np.full(40, query), np.arange(40))
        assert (scores <= bounds[query] + 1e-5).all()


def test_only_a_mixture_has_components():
    """Other scorers do not claim to."""
    assert not isinstance(matcher_scorer(matcher("nann")), ComponentScorer)
