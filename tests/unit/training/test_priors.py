"""Priors of a false negative."""

import numpy as np
import pytest
import torch

from training.data import Ragged
from training.item_item import HELD_OUT_RATIO, CalibratedItemItemPrior, _cosine, item_similarity
from training.priors import PRIORS, PopularityPrior
from training.samplers.base import SamplerData
from training.samplers.bns import BayesianSettings
from training.seen_items import SeenItems
from vizsla.errors import ConfigError
from vizsla.testing.planted import planted


def planted_prior():
    data = planted(n_users=80, n_items=60, per_user=12)
    train = Ragged.from_lists(data.histories())
    counts = torch.bincount(torch.from_numpy(train.values), minlength=60)
    prior = CalibratedItemItemPrior(SamplerData(train, SeenItems(train, 60), counts))
    return data, prior


def test_popularity_is_the_share_of_interactions():
    """Item 0 has 2 of 3 interactions; an item never seen still has a positive probability."""
    train = Ragged.from_lists([[0, 1], [0]])
    prior = PopularityPrior(
        SamplerData(train, SeenItems(train, 3), torch.tensor([2, 1, 0])), BayesianSettings()
    )
    found = prior(torch.tensor([0]), torch.tensor([[0, 1, 2]]))[0]

    assert torch.allclose(found[:2], torch.tensor([2 / 3, 1 / 3]))
    assert 0 < float(found[2]) < 1e-6


def test_the_calibrated_prior_knows_a_users_cluster():
    """Unseen items of the user's own cluster are likelier to be liked than all others."""
    data, prior = planted_prior()
    items = torch.arange(60)[None]
    found = prior(torch.tensor([0]), items)[0].numpy()
    own = data.item_clusters == data.user_clusters[0]
    unseen = ~np.isin(np.arange(60), data.histories()[0])

    assert found[own & unseen].min() > found[~own].max()
    assert ((found > 0) & (found < 1)).all()


def test_the_calibrated_prior_has_the_right_level():
    """Over unseen pairs it predicts about as many likes as were held out to calibrate it."""
    _, prior = planted_prior()
    seen = prior._histories.toarray() > 0
    table = prior(torch.arange(80), torch.arange(60).expand(80, -1)).numpy()
    predicted, held_out = table[~seen].sum(), HELD_OUT_RATIO * seen.sum()

    assert abs(predicted - held_out) < held_out / 2


def test_similarity_of_large_catalogues_is_sparse_cosine():
    """Items 0 and 1 share two of their two and three users: 2 / sqrt(6); none with itself."""
    pairs = item_similarity_input()
    similarity = _cosine(pairs).toarray()

    assert np.isclose(similarity[0, 1], 2 / np.sqrt(6))
    assert not similarity.diagonal().any()
    assert item_similarity(pairs).shape == (3, 3)


def item_similarity_input():
    import scipy.sparse as sp

    rows = [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    return sp.csr_matrix(np.array(rows, np.float32))


def small_data(**more):
    train = Ragged.from_lists([[0, 1, 2], [1, 2, 3], [0, 3]])
    counts = torch.bincount(torch.from_numpy(train.values), minlength=5)
    return SamplerData(train, SeenItems(train, 5), counts, **more)


def ask(name, data, **settings):
    users, items = torch.tensor([0, 2]), torch.tensor([[3, 4], [1, 2]])
    return PRIORS.load(name)(data, BayesianSettings(prior=name, **settings))(users, items)


def test_every_prior_is_a_probability():
    """All registered priors are callable on the same request and return probabilities."""
    hidden = SeenItems(Ragged.from_lists([[4], [], [2]]), 5)
    data = small_data(user_codes={"job": torch.tensor([1, 1, 0])}, hidden=hidden)
    for name in PRIORS:
        found = ask(name, data, group="job")
        assert found.shape == (2, 2)
        assert found.dtype == torch.float32
        assert ((found >= 0) & (found <= 1)).all()
        assert name == "oracle" or ((found > 0) & (found < 1)).all()


def test_a_groups_prior_counts_its_users_alone():
    """Users 0 and 1 share a group of 6 interactions; item 3 has 1 of them, item 4 none."""
    found = ask("group", small_data(user_codes={"job": torch.tensor([1, 1, 0])}), group="job")

    assert torch.allclose(found, torch.tensor([[1 / 6, 0.0], [0.0, 0.0]]), atol=1e-6)


def test_the_oracle_knows_what_was_held_out():
    """Probability 1 for a held-out positive, 0 for anything else."""
    hidden = SeenItems(Ragged.from_lists([[4], [], [2]]), 5)

    assert ask("oracle", small_data(hidden=hidden)).tolist() == [[0.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("name", "message"),
    [("oracle", "for analysis in benches only"), ("group", "no user feature 'age': known: job")],
)
def test_priors_that_lack_their_data_are_refused(name, message):
    """Ordinary training has no held-out positives to look at."""
    data = small_data(user_codes={"job": torch.tensor([1, 1, 0])})
    with pytest.raises(ConfigError, match=message):
        ask(name, data, group="age")
