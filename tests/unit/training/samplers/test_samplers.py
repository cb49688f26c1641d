"""What every registered sampler promises, and the distributions of the simple ones."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st

import training.samplers
from training.data import Ragged
from training.samplers import SAMPLERS
from training.samplers.base import Factors, SamplerData, SampleRequest
from training.seen_items import SeenItems
from vizsla.errors import ConfigError

N_ITEMS = 12
OPTIONS = {
    "uniform": [{}, {"shared": False}],
    "popularity": [{}, {"shared": False, "alpha": 1.0}],
    "in-batch": [{}],
    "softmax": [{}, {"pool_size": 5}],
    "aobpr": [{}, {"mean_rank_ratio": 0.01}],
    "ahns": [{}, {"scale": 3.0, "power": -3.0}],
    "srns": [{}, {"memory_size": 3, "n_fresh": 2, "warmup_epochs": 0}],
    "dns": [
        {},
        {"top": 6},
        {"proposal": "softmax", "pool_size": 5},
        {"shared": True, "proposal": "popularity"},
    ],
    "bns": [
        {},
        {"prior": "popularity", "cdf": "exact"},
        {"shared": True, "pool_size": 8, "n_references": 3},
        {"combiner": "posterior"},
        {"combiner": "harmonic", "prior": "constant"},
        {"warmup_epochs": 2, "weight_step": 1.0},
        {"combiner": "reweight"},
        {"combiner": "reweight", "proposal": "softmax", "candidates_per_negative": 1},
    ],
}
CASES = [(name, options) for name in SAMPLERS for options in OPTIONS[name]]
ROWS = st.lists(
    st.sets(st.integers(0, N_ITEMS - 1), min_size=1).map(sorted), min_size=1, max_size=5
)


def make_data(rows):
    train = Ragged.from_lists(rows)
    counts = torch.bincount(torch.from_numpy(train.values), minlength=N_ITEMS)
    return SamplerData(train, SeenItems(train, N_ITEMS), counts)


def make_sampler(name, options, data, seed=0):
    kind = SAMPLERS.load(name)
    return kind(data, kind.Settings(**options), torch.Generator().manual_seed(seed))


def make_request(rows):
    """One positive per item of each user; the score is the item number."""
    users = torch.tensor([user for user, row in enumerate(rows) for _ in row])
    positives = torch.tensor([item for row in rows for item in row])

    def score(items):
        return items.float().expand(len(users), -1)

    factors = Factors(
        lambda: torch.ones(len(users), 1), lambda: torch.arange(N_ITEMS).float()[:, None]
    )
    return SampleRequest(users, positives, score, 0, factors)


@pytest.mark.parametrize(("name", "options"), CASES)
@settings(max_examples=25, deadline=None)
@given(rows=ROWS, n_negatives=st.integers(1, 6), seed=st.integers(0, 5))
def test_a_sampler_never_returns_a_positive(name, options, rows, n_negatives, seed):
    """No negative of weight above 0 is an item of its user, even for one who has everything."""
    request = make_request(rows)
    drawn = make_sampler(name, options, make_data(rows), seed).sample(request, n_negatives)
    items = drawn.item_nums.expand(len(request.users), -1)

    assert drawn.weight.shape == items.shape
    assert drawn.log_q.shape == drawn.item_nums.shape
    for user, own, weights in zip(request.users, items.tolist(), drawn.weight, strict=True):
        used = {item for item, weight in zip(own, weights.tolist(), strict=True) if weight > 0}
        assert not used & set(rows[user])


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_same_generator_gives_the_same_negatives(name, options):
    """All randomness comes from the generator, and another seed gives another draw or order."""
    rows = [[0, 1, 2], [3, 4], [1, 5]]
    draws = [make_sampler(name, options, make_data(rows), 7).sample(make_request(rows), 3)] * 2

    assert torch.equal(draws[0].item_nums, draws[1].item_nums)
    assert torch.equal(draws[0].weight, draws[1].weight)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_sampler_goes_on_from_its_state(name, options):
    """A new sampler that takes over a state draws what the old one would have drawn."""
    rows = [[0, 1, 2], [3, 4], [1, 5]]
    sampler = make_sampler(name, options, make_data(rows))
    sampler.sample(make_request(rows), 3)
    state = {key: tensor.clone() for key, tensor in sampler.state().items()}
    other = make_sampler(name, options, make_data(rows), seed=9)
    other.load_state(state)

    for _ in range(2):
        drawn = [each.sample(make_request(rows), 3) for each in (sampler, other)]
        assert torch.equal(drawn[0].item_nums, drawn[1].item_nums)
        assert torch.equal(drawn[0].weight, drawn[1].weight)


def test_one_file_per_sampler():
    """The folder holds the registered samplers, their common base, and nothing else."""
    files = {path.stem for path in Path(training.samplers.__file__).parent.glob("*.py")}

    assert files - {"__init__", "base"} == {name.replace("-", "_") for name in SAMPLERS}


@pytest.mark.parametrize("shared", [True, False])
def test_uniform_draws_every_item_alike(shared):
    """Of the nine items that user 0 lacks, each gets a ninth of the weight."""
    rows = [[0, 1, 2]]
    drawn = make_sampler("uniform", {"shared": shared}, make_data(rows)).sample(
        make_request(rows), 10 if not shared else 11
    )
    sampler = make_sampler("uniform", {"shared": shared}, make_data(rows))
    counts = torch.zeros(N_ITEMS)
    for _ in range(400):
        drawn = sampler.sample(make_request(rows), 10)
        counts += torch.bincount(
            drawn.item_nums.expand(3, -1).reshape(-1), drawn.weight.reshape(-1), N_ITEMS
        )
    shares = counts / counts.sum()

    assert shares[:3].sum() == 0
    assert (shares[3:] - 1 / 9).abs().max() < 0.02
    assert torch.allclose(drawn.log_q, torch.tensor(-math.log(N_ITEMS)))


def test_uniform_gives_the_whole_catalogue_once_when_asked_for_it():
    """As many negatives as items is the full softmax."""
    rows = [[0, 1]]
    drawn = make_sampler("uniform", {}, make_data(rows)).sample(make_request(rows), N_ITEMS)

    assert drawn.item_nums.tolist() == list(range(N_ITEMS))
    assert drawn.weight.sum(dim=1).tolist() == [10.0, 10.0]


def test_in_batch_negatives_are_the_batch():
    """Positives 0, 1 | 2: user 0 gets item 2, user 1 gets items 0 and 1."""
    rows = [[0, 1], [2]]
    drawn = make_sampler("in-batch", {}, make_data(rows)).sample(make_request(rows), 100)

    assert drawn.item_nums.tolist() == [0, 1, 2]
    assert drawn.weight.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def test_in_batch_log_q_is_the_share_of_interactions():
    """An item with 3 of the interactions has three times the probability of one with 1."""
    rows = [[0, 1], [0], [0]]
    sampler = make_sampler("in-batch", {}, make_data(rows))
    log_q = sampler.log_q(torch.tensor([0, 1]))

    assert torch.allclose((log_q[0] - log_q[1]).exp(), torch.tensor(3.0))


def test_dns_takes_the_highest_scores():
    """With the whole catalogue as candidates and scores 0 to 11, the two best unseen are taken."""
    rows = [[11, 3]]
    options = {"candidates_per_negative": 5}
    drawn = make_sampler("dns", options, make_data(rows)).sample(make_request(rows), 2)

    assert [sorted(row) for row in drawn.item_nums.tolist()] == [[9, 10], [9, 10]]


def test_softmax_negatives_follow_the_score_and_say_how_likely():
    """Two unseen items of score log 1 and log 3: drawn a quarter and three quarters of the time."""
    rows = [list(range(2, N_ITEMS))]
    data = make_data(rows)
    sampler = make_sampler("softmax", {"pool_size": N_ITEMS, "uniform_ratio": 1e-6}, data)
    table = torch.tensor([0.0, math.log(3)] + [50.0] * 10)
    request = SampleRequest(
        torch.tensor([0]), torch.tensor([2]), lambda items: table[items].reshape(1, -1)
    )
    drawn = sampler.sample(request, 20_000)
    share = float((drawn.item_nums == 1).float().mean())

    assert share == pytest.approx(3 / 4, abs=0.015)
    assert torch.allclose(
        drawn.log_q.exp(), torch.where(drawn.item_nums == 1, 3 / 4, 1 / 4), atol=1e-4
    )


def ranked_request(n_pairs, positive=0.0):
    """One user who has item 0; the score of an item is its number, that of the positive given."""
    users, positives = torch.zeros(n_pairs, dtype=torch.int64), torch.zeros(n_pairs).long()

    def score(items):
        return torch.where(items == 0, positive, items.float()).expand(n_pairs, -1)

    factors = Factors(
        lambda: torch.ones(n_pairs, 1), lambda: torch.arange(N_ITEMS).float()[:, None]
    )
    return SampleRequest(users, positives, score, 0, factors)


def test_one_of_the_top_is_drawn_at_random():
    """DNS(M, N): with all 11 unseen items as candidates the top 3 are 9, 10 and 11, a third each."""
    sampler = make_sampler("dns", {"candidates_per_negative": 11, "top": 3}, make_data([[0]]))
    drawn = sampler.sample(ranked_request(3_000), 1).item_nums
    shares = torch.bincount(drawn.flatten(), minlength=N_ITEMS) / 3_000

    assert shares[:9].sum() == 0
    assert (shares[9:] - 1 / 3).abs().max() < 0.04


@pytest.mark.parametrize(("positive", "expected"), [(0.5, 8), (1.0, 4), (4.0, 1), (-3.0, 11)])
def test_hardness_falls_as_the_positive_rises(positive, expected):
    """``4 / positive`` is asked for: 8, 4, 1; a positive below zero gets the hardest."""
    options = {"candidates_per_negative": 11, "shift": 0.0, "scale": 4.0, "power": -2.0}
    drawn = make_sampler("ahns", options, make_data([[0]])).sample(ranked_request(1, positive), 1)

    assert drawn.item_nums.tolist() == [[expected]]


def test_oversampled_ranks_are_geometric():
    """One factor that all users like: ranks r of the items by it have P(r) ~ exp(-r / 2.4)."""
    sampler = make_sampler("aobpr", {"mean_rank_ratio": 0.2}, make_data([[0]]))
    drawn = sampler.sample(ranked_request(20_000), 1).item_nums.flatten()
    counts = torch.bincount(N_ITEMS - 1 - drawn, minlength=N_ITEMS)[:5].float()

    assert torch.allclose(counts[1:] / counts[:-1], torch.tensor(math.exp(-1 / 2.4)), atol=0.06)


def test_a_disliked_factor_turns_the_order_round():
    """A user with a negative weight gets the items at its other end."""
    sampler = make_sampler("aobpr", {"mean_rank_ratio": 0.05}, make_data([[0]]))
    request = ranked_request(1_000)
    against = replace(
        request, factors=replace(request.factors, users=lambda: -torch.ones(1_000, 1))
    )

    assert sampler.sample(against, 1).item_nums.float().mean() < 3


def test_oversampling_needs_a_dot_product():
    """A deep score has no factors."""
    sampler = make_sampler("aobpr", {}, make_data([[0]]))
    with pytest.raises(ConfigError, match="score = two_sided"):
        sampler.sample(replace(ranked_request(1), factors=None), 1)


def test_changing_scores_win_over_steady_ones():
    """Of two remembered items the one whose score has changed between epochs is taken."""
    options = {"memory_size": 2, "n_candidates": 2, "weight": 20.0, "warmup_epochs": 0}
    sampler = make_sampler("srns", options, make_data([[0]]))
    request = replace(ranked_request(1), epoch=3)
    sampler._items[0] = torch.tensor([5, 6])
    sampler._valid[0] = True
    sampler._epoch[0] = 3
    sampler._history[0, 0, :2] = torch.tensor([-2.0, 2.0])
    sampler._history[0, 1, :2] = torch.tensor([2.0, 2.0])
    sampler._n_known[0] = 2
    sigmoid = 1 / (1 + math.exp(-2.0))

    assert sampler.sample(request, 1).item_nums.tolist() == [[5]]
    rows, columns = torch.tensor([[0]]), torch.tensor([[0, 1]])
    deviation = sampler._deviation(rows, columns, torch.zeros(1, 1))[0].tolist()
    assert deviation == pytest.approx([sigmoid - 0.5, 0.0])


def test_steady_scores_have_no_deviation_whatever_the_positives():
    """Positives that change from epoch to epoch say nothing about a negative."""
    options = {"memory_size": 4, "n_fresh": 4}
    sampler = make_sampler("srns", options, make_data([[0]]))
    for epoch in range(6):
        request = replace(ranked_request(1, positive=4.0 * (epoch % 2)), epoch=epoch)
        sampler.sample(request, 1)

    assert sampler._n_known.max() > 1
    rows, columns = torch.tensor([[0]]), torch.arange(4)[None]
    assert sampler._deviation(rows, columns, torch.zeros(1, 1)).max() < 1e-6


def test_the_memory_keeps_high_scores():
    """After some epochs at a low temperature it holds the user's best unseen items."""
    options = {"memory_size": 3, "n_fresh": 6, "temperature": 0.01}
    sampler = make_sampler("srns", options, make_data([[0]]))
    for epoch in range(12):
        sampler.sample(replace(ranked_request(2), epoch=epoch), 1)

    assert sorted(sampler._items[0].tolist()) == [9, 10, 11]
    assert sampler._valid[0].all()


def test_a_shared_pool_is_taken_in_random_order():
    """Who keeps candidates as drawn gets all of the pool alike, not its smallest numbers."""
    options = {"shared": True, "pool_size": 12, "combiner": "reweight"}
    sampler = make_sampler("bns", options, make_data([[0]]))
    drawn = [sampler.sample(ranked_request(1), 1).item_nums for _ in range(400)]
    counts = torch.bincount(torch.cat(drawn).flatten(), minlength=N_ITEMS)[1:]

    assert counts.min() > 10


def test_more_negatives_than_the_top_are_refused():
    """The rest would be any of the others."""
    sampler = make_sampler("dns", {"top": 2}, make_data([[0]]))
    with pytest.raises(ConfigError, match="top = 2 is fewer than 3 negatives"):
        sampler.sample(ranked_request(1), 3)
