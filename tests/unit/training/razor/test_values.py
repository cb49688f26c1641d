"""Values that earn a vector: the gradient of the step, what is cut, and rows without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.ctr.loop import train_ranker
from training.ctr.settings import RankerSettings
from training.razor import RazorSettings
from training.razor.rivals import RIVALS, RivalTask
from training.razor.rivals.values import ThresholdTable, cut_rows, cut_schema, packed, stepped
from training.razor.search import supernet
from vizsla.fields import EncodedRows, Ragged

RANKER = RankerSettings(model="dnn", epochs=2, batch_size=256, model_settings={"hidden": [8]})


@pytest.mark.parametrize(
    ("x", "value", "slope"),
    [(0.25, 1, 2 - 4 * 0.25), (-0.25, 0, 2 - 4 * 0.25), (0.7, 1, 0.4), (-0.7, 0, 0.4), (3, 1, 0)],
)
def test_a_step_has_the_gradient_of_the_paper(x, value, slope):
    """2 - 4|x|, then 0.4, then nothing."""
    given = torch.tensor(float(x), requires_grad=True)
    found = stepped(given)
    found.backward()

    assert found.item() == value
    assert given.grad.item() == pytest.approx(slope)


def test_rows_get_the_codes_of_what_is_left(make_schema):
    """Codes 0 and 1 stay, 2 and 4 go, 3 is the first known one; a sharer follows its owner."""
    schema = make_schema(["weak", "history"], dim=4)
    kept = np.ones(60, bool)
    kept[[2, 4]] = False
    cut = cut_schema(schema, {"weak": kept})
    cut = cut.model_copy(
        update={
            "search": cut.search.model_copy(update={"settings": {"values": packed({"weak": kept})}})
        }
    )
    rows = EncodedRows(
        {"weak": np.array([0, 1, 2, 3, 59], np.int32)},
        {"history": Ragged(np.array([4, 5], np.int32), np.array([0, 2, 2, 2, 2, 2]))},
    )

    found = cut_rows(cut, rows)
    assert [one.n_codes for one in cut.fields] == [58, 58]
    assert found.single["weak"].tolist() == [0, 1, 1, 2, 57]
    assert found.lists["history"].values.tolist() == [1, 3]
    assert cut_rows(schema, rows) is rows


def test_thresholds_cut_what_is_smaller_and_learn(make_schema, make_rows):
    """A row under the threshold reads as nothing, MISSING and UNKNOWN never do."""
    schema = make_schema(["strong", "weak"], dim=2)
    _, embeddings = supernet(schema, torch.ones(2, 2).tril(-1), RazorSettings(), 0)
    values = ThresholdTable(embeddings, schema)
    with torch.no_grad():
        values.table.weight.fill_(0.25)
        values.table.weight[5] = 1.0
        values.thresholds.copy_(torch.tensor([0.75, 0.25]))
    found = values(torch.tensor([0, 4, 5, 14]))
    found.sum().backward()

    assert found[:, 0].tolist() == [0.25, 0, 1, 0.25]
    assert np.flatnonzero(values.kept()["strong"]).tolist() == [0, 1, 5]
    assert values.kept()["weak"].all()
    # 4 is 0.25 below, where the slope is 1; 5 is 1.25 above, out of reach; 14 is 0.25 above
    assert values.thresholds.grad.tolist() == pytest.approx([-0.75, -0.75])


def test_optembed_cuts_values_that_say_nothing_and_the_cut_schema_trains(make_schema, make_rows):
    """A third of the noise's rows go in one short pass; tables, rows and budget agree on the rest."""
    rows = make_rows(6_000)
    train, valid = rows.take(np.arange(5_000)), rows.take(np.arange(5_000, 6_000))
    task = RivalTask(make_schema(dim=8), train, valid, 6_000, 0, RANKER)
    harsh = RIVALS.load("optembed")(replace(task, options={"sparsity": 1.0}))
    left = {one.spec.name: one.n_codes for one in harsh.fields}

    assert left["noise_many"] < 2_100
    assert harsh.n_parameters <= 6_000
    trained = train_ranker(harsh, cut_rows(harsh, train), cut_rows(harsh, valid), RANKER, 0)
    assert trained.metrics["auc"] > 0.5
