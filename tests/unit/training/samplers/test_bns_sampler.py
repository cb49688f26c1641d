"""The Bayesian sampler as a whole: against the released loop, and its variants by hand."""

import numpy as np
import pytest
import torch

from training.bench.reference import _least_risky
from training.data import Ragged
from training.pair_objective import dot_request
from training.pairs import PairBatch
from training.samplers.base import SamplerData
from training.samplers.bns import BayesianSampler, BayesianSettings, Judgement
from training.seen_items import SeenItems


def make_sampler(rows, n_items, **options):
    train = Ragged.from_lists(rows)
    counts = torch.bincount(torch.from_numpy(train.values), minlength=n_items)
    data = SamplerData(train, SeenItems(train, n_items), counts)
    return BayesianSampler(data, BayesianSettings(**options), torch.Generator().manual_seed(0))


def test_the_sampler_picks_what_the_released_loop_picks():
    """Same users, candidates, scores and prior: the released rule, triple by triple, ties included."""
    n_users, n_items = 40, 30
    generator = np.random.default_rng(0)
    users = generator.integers(-2, 3, (n_users, 4)).astype(np.float64)  # small integers tie often
    items = generator.integers(-2, 3, (n_items, 4)).astype(np.float64)
    rows = [sorted(generator.choice(n_items, 5, replace=False).tolist()) for _ in range(n_users)]
    sampler = make_sampler(rows, n_items, prior="popularity", cdf="exact", weight=5.0)
    counts = sampler.data.item_counts.double()
    prior = (counts / counts.sum()).numpy()
    seen = np.zeros((n_users, n_items), np.bool_)
    for user, own in enumerate(rows):
        seen[user, own] = True
    candidates = np.stack([generator.choice(np.flatnonzero(~row), 5) for row in seen])
    positives = torch.tensor([own[0] for own in rows])
    request = dot_request(
        PairBatch(torch.arange(n_users), positives),
        torch.from_numpy(users).float(),
        torch.from_numpy(items).float(),
    )
    asked = torch.from_numpy(candidates)
    found = sampler.judge(request, asked, request.score(asked)).risk.argmin(dim=1)
    chosen = candidates[np.arange(n_users), found.numpy()]
    expected = [
        _least_risky(candidates[user], users[user], items, rows[user][0], seen[user], prior)
        for user in range(n_users)
    ]

    risks = sampler.judge(request, asked, request.score(asked)).risk
    by_item = torch.where(asked == torch.tensor(expected)[:, None], risks, torch.inf).amin(dim=1)
    assert torch.allclose(by_item, risks.amin(dim=1), atol=1e-6)
    assert (chosen == np.array(expected)).mean() > 0.9  # the rest are ties in float32


def test_the_exact_cdf_counts_what_the_user_has_not():
    """Items score 0 to 5, the user has items 1 and 4: of 0, 2, 3, 5 two are no higher than 2."""
    sampler = make_sampler([[1, 4]], 6, cdf="exact", prior="constant")
    request = dot_request(
        PairBatch(torch.tensor([0]), torch.tensor([1])),
        torch.ones(1, 1),
        torch.arange(6.0)[:, None],
    )
    asked = torch.tensor([[2, 5, 0]])

    cdf = sampler._cdf(request, asked, request.score(asked))
    assert cdf.tolist() == [pytest.approx([2 / 5, 4 / 5, 1 / 5])]


def test_the_harmonic_mean_takes_neither_the_hardest_nor_the_safest():
    """A hopeless one, a doubtful hard one, and one that is some of both."""
    sampler = make_sampler([[0]], 9, combiner="harmonic", prior="constant")
    info, unbias = torch.tensor([[0.05, 0.9, 0.5]]), torch.tensor([[0.99, 0.05, 0.7]])
    cost = sampler._cost(Judgement(info, unbias, torch.zeros(1, 3)), 0)

    assert cost.argmin() == 2
    assert cost[0].tolist() == pytest.approx([-0.0952, -0.0947, -0.5833], abs=1e-3)


def test_a_warm_start_takes_candidates_as_drawn():
    """Until the last epoch of the warm-up the first candidate wins, then the least risk."""
    sampler = make_sampler([[0]], 9, warmup_epochs=3, prior="constant")
    judged = Judgement(torch.ones(1, 3), torch.ones(1, 3), torch.tensor([[0.0, -2.0, 1.0]]))

    assert [int(sampler._cost(judged, epoch).argmin()) for epoch in (0, 2, 3)] == [0, 0, 1]


def test_lambda_falls_in_the_risk_that_is_used():
    """Epoch 9 weighs the posterior less than epoch 0, by the step."""
    sampler = make_sampler(
        [[0]], 6, weight=10.0, weight_step=1.0, prior="constant", constant=0.5, cdf="exact"
    )
    pairs = PairBatch(torch.tensor([0]), torch.tensor([0]))
    asked = torch.tensor([[2]])
    risks = {}
    for epoch in (0, 9):
        request = dot_request(pairs, torch.ones(1, 1), torch.arange(6.0)[:, None], epoch)
        judged = sampler.judge(request, asked, request.score(asked))
        weight = 10.0 - epoch
        expected = judged.info * (1.0 - (1.0 + weight) * judged.unbias)
        risks[epoch] = float(judged.risk)
        assert float(judged.risk) == pytest.approx(float(expected), rel=1e-5)

    assert risks[0] < risks[9]
