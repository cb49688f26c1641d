"""What the last layer reads, taken from the model itself."""

import weakref

import numpy as np
import pytest

from training.ctr.uncertainty import last_layer, last_weights, measured, see, seeing
from training.ctr.uncertainty.fit import fit_uncertainty
from training.ctr.uncertainty.seeing import see_batches, see_narrow
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, build_ranker
from vizsla.models.ranker.calibration import Calibration
from vizsla.models.ranker.dnn import Dnn, DnnConfig
from vizsla.rng import torch_generator

SCHEMA = RankingSchema(
    frame="x",
    frame_hash="f",
    vocabulary_hash="v",
    fields=(RankerField(spec=FieldSpec(name="item_id", owner="item"), n_codes=50, dim=3),),
)


def rows():
    items = np.arange(20_000, dtype=np.int32) % 50
    return EncodedRows({"item_id": items}, labels=(items % 3 == 0).astype(np.float32))


def test_logits_are_the_last_layer_of_what_it_read():
    """A dnn's first-order part begins at zero, so nothing else is in them; more than a batch."""
    ranker = Ranker(SCHEMA, Dnn(SCHEMA, DnnConfig(hidden=(8, 4))))
    ranker.reset_parameters(torch_generator(0, "test"))
    seen = see(ranker.eval(), rows(), "item_id")
    weights = last_weights(ranker)

    assert seen.hidden.shape == (20_000, 4)
    assert seen.hidden @ weights[:-1] + weights[-1] == pytest.approx(seen.logits, abs=1e-6)
    assert not last_layer(ranker)._forward_pre_hooks


@pytest.mark.parametrize("name", ["dcnv2", "deepfm", "dnn", "wide_deep"])
def test_every_model_with_a_perceptron_has_its_head_found(name):
    """Whatever else a model has with one output."""
    ranker = build_ranker(SCHEMA, name, {"hidden": (8, 4)})

    assert last_weights(ranker).shape == (5,)
    assert last_layer(ranker) is ranker.backbone.layers[-1]


@pytest.mark.parametrize("name", ["lr", "fm"])
def test_a_model_without_a_last_layer_is_refused(name):
    with pytest.raises(UsageError, match="no last layer"):
        see(build_ranker(SCHEMA, name, {}), rows(), "item_id")


def test_a_narrow_look_keeps_no_more_than_a_batch_of_what_the_last_layer_read(monkeypatch):
    """Millions of rows by hundreds of units would not fit into memory."""
    ranker = build_ranker(SCHEMA, "dnn", {"hidden": (8, 4)}).eval()
    whole, wide, most = see(ranker, rows(), "item_id"), [], []

    def watched(*given):
        for piece in see_batches(*given):
            wide.append(weakref.ref(piece.hidden))
            yield piece
            most.append(sum(one() is not None for one in wide))

    monkeypatch.setattr(seeing, "see_batches", watched)
    narrow = see_narrow(ranker, rows(), "item_id")

    assert len(most) == 3
    assert max(most) == 1
    assert narrow.hidden.shape == (0, 4)
    for name in ("logits", "labels", "items"):
        assert np.array_equal(getattr(narrow, name), getattr(whole, name))


def test_uncertainty_is_fitted_on_a_narrow_look_at_validation(monkeypatch):
    """Only what the last layer read of training rows is asked for."""
    ranker = build_ranker(SCHEMA, "dnn", {"hidden": (8, 4)}).eval()
    given = []

    def fit(train, valid, *rest):
        given.append(valid)
        return fit_uncertainty(train, valid, *rest)

    monkeypatch.setattr(measured, "fit_uncertainty", fit)
    found = measured.measure_uncertainty(ranker, {"train": rows(), "valid": rows()}, Calibration())

    assert not isinstance(found, str)
    assert given[0].hidden.size == 0
