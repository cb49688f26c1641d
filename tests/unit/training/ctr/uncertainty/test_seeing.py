"""What the last layer reads, taken from the model itself."""

import numpy as np
import pytest

from training.ctr.uncertainty import last_layer, last_weights, see
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Backbone, Ranker
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


def test_a_model_without_a_last_layer_is_refused():
    class Plain(Backbone):
        def __init__(self, schema, config):
            super().__init__(schema, config)

        def forward(self, embedded):
            return embedded.linear

    with pytest.raises(UsageError, match="no last layer"):
        see(Ranker(SCHEMA, Plain(SCHEMA, DnnConfig())), rows(), "item")
