"""The quality of draws, by hand."""

import numpy as np
import pytest
import torch

from training.data import Ragged
from training.priors import OraclePrior
from training.samplers.base import Negatives, SamplerData, SampleRequest
from training.samplers.bns import BayesianSettings
from training.sampling_quality import QualityMeter, area_under_curve, separation
from training.seen_items import SeenItems
from vizsla.models.recommender.mf import MatrixFactorisation


def draw(items, weights):
    return Negatives(torch.tensor(items), torch.zeros(len(items), 1), torch.tensor(weights), {})


def request():
    """Two users; every item scores 0 but item 3, which scores 20."""
    return SampleRequest(
        torch.tensor([0, 1]), torch.tensor([0, 0]), lambda items: 20.0 * (items == 3).float()
    )


def test_true_negatives_and_their_information():
    """User 0 would like item 3: half of the draws are false, and count against in one figure."""
    meter = QualityMeter(SeenItems(Ragged.from_lists([[3], []]), 5))
    meter(request(), draw([[3], [3]], [[1.0], [1.0]]), 0.002)
    found = meter.take()

    assert found.tnr == 1 / 2
    assert found.info == pytest.approx(1.0)
    assert found.signed_info == pytest.approx(0.0)
    assert found.sample_ms == pytest.approx(2.0)
    assert "certified_tnr" not in found.figures()


def test_what_weighs_nothing_is_no_draw():
    """A masked place counts for nothing, and taking begins again."""
    meter = QualityMeter(SeenItems(Ragged.from_lists([[3], []]), 5))
    meter(request(), draw([[3], [1]], [[0.0], [1.0]]), 0.0)

    assert meter.take().tnr == 1.0
    assert meter.take().info == 0.0


def test_a_negative_counts_by_its_weight():
    """A false one of weight 1/4 beside a true one of weight 3/4."""
    meter = QualityMeter(SeenItems(Ragged.from_lists([[3], []]), 5))
    meter(request(), draw([[3], [3]], [[0.25], [0.75]]), 0.0)

    assert meter.take().tnr == pytest.approx(0.75)


def test_certified_dislikes_are_counted_among_what_is_known():
    """One liked, two disliked, one unknown: two thirds of what is known are dislikes."""
    liked = SeenItems(Ragged.from_lists([[3], []]), 5)
    disliked = SeenItems(Ragged.from_lists([[], [2, 4]]), 5)
    meter = QualityMeter(liked, disliked)
    for items in ([[3], [2]], [[1], [4]]):
        meter(request(), draw(items, [[1.0], [1.0]]), 0.0)
    found = meter.take()

    assert found.certified_tnr == pytest.approx(2 / 3)
    assert found.figures()["certified_tnr"] == pytest.approx(2 / 3)


def test_the_area_under_a_curve_by_hand():
    """Hits at 3 and 1, misses at 2 and 1: (1 + 1 + 0 + 1/2) / 4."""
    hits = np.array([True, True, False, False])

    assert area_under_curve(np.array([3.0, 1.0, 2.0, 1.0]), hits) == pytest.approx(2.5 / 4)
    assert np.isnan(area_under_curve(np.array([1.0]), np.array([True])))


def test_separation_sees_where_held_out_positives_are():
    """One user, items scored 0 to 4, item 0 seen, item 4 held out: it ranks above all others."""
    model = MatrixFactorisation(1, 5, MatrixFactorisation.Config(embedding_size=1))
    model.users.data = torch.ones(1, 1)
    model.items.data = torch.arange(5.0)[:, None]
    train = Ragged.from_lists([[0]])
    seen, hidden = SeenItems(train, 5), SeenItems(Ragged.from_lists([[4]]), 5)
    data = SamplerData(train, seen, torch.ones(5), hidden=hidden)
    oracle = {"oracle": OraclePrior(data, BayesianSettings())}
    found = separation(model, seen, hidden, oracle, users=torch.tensor([0]), n_bins=5)

    assert found.order_ratio == found.score_auc == found.unbias_auc["oracle"] == 1.0
    assert found.prior_auc["oracle"] == 1.0
    assert found.false_density.tolist() == pytest.approx([0, 0, 0, 0, 5])
    assert found.true_density[-1] == 0
