"""What the last layer reads, taken from the model itself."""

import numpy as np
import pytest

from training.ctr.uncertainty import last_layer, last_weights, see
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, build_ranker
from vizsla.models.ranker.dnn import Dnn, DnnConfig
from vizsla.rng import torch_generator

SCHEMA = RankingSchema(
    frame="x",
    frame_hash="f",
    vocabulary_hash="v",
    fields=(RankerField(spec=FieldSpec(name="item", owner="item"), n_codes=50, dim=3),),
)


def rows():
    items = np.arange(20_000, dtype=np.int32) % 50
    return EncodedRows({"item": items}, labels=(items % 3 == 0).astype(np.float32))


def test_logits_are_the_last_layer_of_what_it_read():
    """A dnn's first-order part begins at zero, so nothing else is in them; more than a batch."""
    ranker = Ranker(SCHEMA, Dnn(SCHEMA, DnnConfig(hidden=(8, 4))))
    ranker.reset_parameters(torch_generator(0, "test"))
    seen = see(ranker.eval(), rows(), "item")
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
        see(build_ranker(SCHEMA, name, {}), rows(), "item")
