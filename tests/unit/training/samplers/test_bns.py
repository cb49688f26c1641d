"""Bayesian negative sampling: its formulas, by hand and by simulation."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from training.data import Ragged
from training.samplers.base import SamplerData, SampleRequest
from training.samplers.bns import BayesianSampler, BayesianSettings, bayesian_negatives, judge
from training.score_cdf import _count, _search, score_cdf
from training.seen_items import SeenItems

PROBABILITY = st.floats(0.001, 0.999)


def one(value):
    return torch.tensor([[value]], dtype=torch.float64)


def unbias(cdf, prior):
    return float(judge(torch.zeros(1), one(0.0), one(cdf), one(prior)).unbias)


def test_the_posterior_by_hand():
    """F = 0.9, P = 0.1: (0.1 * 0.9) / (0.1 * 0.9 + 0.9 * 0.1) is one half."""
    assert unbias(0.9, 0.1) == pytest.approx(1 / 2)


def test_the_risk_by_hand():
    """Equal scores give information one half; risk = 0.5 * (1 - 6 * unbias) for lambda 5."""
    found = judge(torch.zeros(1), one(0.0), one(0.9), one(0.1), weight=5.0)

    assert float(found.risk) == pytest.approx(0.5 * (1 - 6 * 0.5))


@given(PROBABILITY, PROBABILITY)
def test_the_posterior_is_the_closed_form(cdf, prior):
    """It equals (1-F)(1-P) / (1 - F - P + 2FP) of the paper."""
    closed = (1 - cdf) * (1 - prior) / (1 - cdf - prior + 2 * cdf * prior)

    assert unbias(cdf, prior) == pytest.approx(closed)


@given(PROBABILITY, PROBABILITY, PROBABILITY)
def test_the_posterior_falls_with_score_and_prior(first, second, prior):
    """A higher rank or a higher prior never makes a true negative likelier."""
    low, high = sorted([first, second])

    assert unbias(low, prior) >= unbias(high, prior) - 1e-12
    assert unbias(prior, low) >= unbias(prior, high) - 1e-12


def test_the_posterior_is_calibrated_in_a_simulation():
    """Draw two scores, label one as the rule says: the observed share is met within 0.01."""
    generator = np.random.default_rng(0)
    prior, pairs = 0.2, generator.random((1_000_000, 2))
    is_false = generator.random(len(pairs)) < prior
    scores = np.where(is_false, pairs.max(axis=1), pairs.min(axis=1))
    bins = (scores * 20).astype(int)
    observed = np.bincount(bins, ~is_false) / np.bincount(bins)
    middle = torch.from_numpy((np.arange(20) + 0.5) / 20)[None]
    expected = judge(torch.zeros(1), middle, middle, torch.full_like(middle, prior)).unbias[0]

    assert np.abs(observed - expected.numpy()).max() < 0.01


def test_without_a_prior_the_hardest_is_taken():
    """P = 0 makes every candidate a true negative, and the rule becomes that of DNS."""
    scores = torch.tensor([[0.1, 2.0, 1.0]])
    chosen = bayesian_negatives(
        torch.ones(1), scores, torch.tensor([[0.1, 0.99, 0.5]]), torch.zeros(1, 3)
    )

    assert chosen.tolist() == [1]


def test_the_first_wins_a_tie():
    """Equal candidates: column 0."""
    same = torch.full((1, 3), 0.5)

    assert bayesian_negatives(torch.ones(1), same, same, same).tolist() == [0]


@pytest.mark.parametrize(
    ("shape", "weight", "message"),
    [((1, 0), 5.0, "at least one candidate"), ((1, 2), -1.0, "weight"), ((2, 2), 5.0, "shapes")],
)
def test_wrong_arguments_are_refused(shape, weight, message):
    """No candidate, a negative lambda, or shapes that disagree."""
    table = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        bayesian_negatives(torch.zeros(1), table, table, table, weight=weight)


def test_a_batch_is_judged_row_by_row():
    """No row looks at another."""
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(50, generator=generator)
    scores, cdf, prior = (torch.rand(50, 6, generator=generator) for _ in range(3))
    batched = bayesian_negatives(positive, scores, cdf, prior)
    single = [
        int(
            bayesian_negatives(
                positive[row : row + 1], *(t[row : row + 1] for t in (scores, cdf, prior))
            )
        )
        for row in range(50)
    ]

    assert batched.tolist() == single


def test_the_cdf_counts_unseen_references():
    """Of four references one is seen and one ties: 2 / (3 + 1)."""
    references = torch.tensor([[1.0, 2.0, 5.0, 0.0]])
    counted = torch.tensor([[True, True, True, False]])

    assert score_cdf(torch.tensor([[2.0]]), references, counted).tolist() == [[2 / 4]]


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_counting_is_sorting(n_rows, n_candidates, n_references, seed):
    """Few candidates are counted, many are searched: both say the same, ties included."""
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.randint(4, (n_rows, n_candidates), generator=generator).float()
    references = torch.randint(4, (n_rows, n_references), generator=generator).float()
    counted = references < 3
    shares = [rank(references, counted, candidates) for rank in (_count, _search)]

    assert torch.allclose(*shares)


def test_a_user_who_has_seen_all_references_has_cdf_zero():
    """No reference says anything about the candidate."""
    assert score_cdf(torch.ones(1, 1), torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.bool)) == 0


def make_sampler(**options):
    """Two users, ten items; the score of an item is its number."""
    train = Ragged.from_lists([[0, 1], [2]])
    counts = torch.bincount(torch.from_numpy(train.values), minlength=10)
    data = SamplerData(train, SeenItems(train, 10), counts)
    return BayesianSampler(data, BayesianSettings(**options), torch.Generator().manual_seed(0))


def make_request():
    users = torch.tensor([0, 1])
    return SampleRequest(users, torch.tensor([0, 2]), lambda items: items.float().expand(2, -1))


def test_reweighting_keeps_candidates_and_weighs_them():
    """The smooth variant: every weight is a posterior, below 1 where the prior is above 0."""
    sampler = make_sampler(combiner="reweight", prior="popularity", cdf="exact")
    drawn = sampler.sample(make_request(), 4)

    assert ((drawn.weight > 0) & (drawn.weight <= 1)).all()


@pytest.mark.parametrize("strength", [0.0, 0.25])
def test_a_weight_takes_over_a_part_of_the_posterior(strength):
    """At 0 all weights are 1, in between they lie on the line to the posterior."""
    options = {"combiner": "reweight", "prior": "popularity", "cdf": "exact"}
    full = make_sampler(**options).sample(make_request(), 4)
    part = make_sampler(strength=strength, **options).sample(make_request(), 4)

    assert torch.equal(part.item_nums, full.item_nums)
    used = full.weight > 0
    assert torch.equal(part.weight > 0, used)
    assert torch.allclose(1.0 - part.weight[used], strength * (1.0 - full.weight[used]), atol=1e-6)


def test_the_posterior_alone_takes_easy_negatives():
    """Maximal safety means low scores: less information than the risk rule has."""
    options = {"prior": "popularity", "cdf": "exact", "candidates_per_negative": 3}
    safe = make_sampler(combiner="posterior", **options).sample(make_request(), 2)
    hard = make_sampler(combiner="risk", **options).sample(make_request(), 2)

    assert safe.stats["info"] < hard.stats["info"]
    assert safe.stats["unbias"] >= hard.stats["unbias"]
