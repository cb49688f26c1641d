"""Training of rankers: the same weights every time, and what it does where there is little to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.ctr.loop import train_ranker
from training.ctr.optimizers import RowwiseAdagrad, SparseAdam, is_sparse
from training.ctr.predicting import predict
from training.ctr.reading import Reader
from training.ctr.settings import RankerSettings
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import DataError, TrainingError
from vizsla.fields import EncodedRows, Ragged

SCHEMA = RankingSchema(
    frame="toy",
    frame_hash="f",
    vocabulary_hash="v",
    fields=(
        RankerField(spec=FieldSpec(name="user"), n_codes=12, dim=4),
        RankerField(spec=FieldSpec(name="item"), n_codes=12, dim=4),
        RankerField(spec=FieldSpec(name="seen", kind="sequence", shares="item"), n_codes=12, dim=4),
    ),
)


def rows(n_rows=400, seed=0):
    rng = np.random.default_rng(seed)
    single = {name: rng.integers(0, 12, n_rows).astype(np.int32) for name in ("user", "item")}
    lengths = rng.integers(0, 4, n_rows)
    values = rng.integers(2, 12, lengths.sum()).astype(np.int32)
    seen = Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))
    labels = ((single["user"] < 6) == (single["item"] < 6)).astype(np.float32)
    return EncodedRows(single, {"seen": seen}, labels)


SETTINGS = RankerSettings(
    epochs=3,
    batch_size=64,
    learning_rate=0.02,
    model_settings={"hidden": [16], "dropout": 0.2},
)


def trained(settings=SETTINGS, **options):
    return train_ranker(SCHEMA, rows(), rows(150, 1), settings, 0, **options)


def same(one, other):
    return all(
        torch.equal(tensor, other.ranker.state_dict()[name])
        for name, tensor in one.ranker.state_dict().items()
    )


class StopAfter:
    """Asks to stop after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self):
        self.left -= 1
        return self.left < 0


def test_it_learns_and_says_how_well():
    """History, best figures and predictions belong together."""
    found = trained(SETTINGS.model_copy(update={"epochs": 15}))
    best = max(one["auc"] for one in found.history)
    valid = rows(150, 1)

    assert found.metrics["auc"] == best > 0.95
    assert found.selected_by == "auc"
    assert ((predict(found.ranker, valid, 32) > 0.5) == (valid.labels > 0.5)).mean() > 0.85


def test_a_seed_fixes_the_weights():
    """Start, order and dropout all follow from it."""
    assert same(trained(), trained())


@pytest.mark.parametrize("table_optimizer", ["adam", "sparse_adam", "rowwise_adagrad"])
@pytest.mark.parametrize("steps", [0, 3, 7, 9])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, steps, table_optimizer):
    """Seven batches an epoch: within the first one, at its end, and in the second."""
    settings = SETTINGS.model_copy(update={"table_optimizer": table_optimizer})
    stopped = trained(settings, folder=tmp_path, should_stop=StopAfter(steps))
    resumed = trained(settings, folder=tmp_path)

    assert stopped.stopped
    assert not resumed.stopped
    assert same(resumed, trained(settings))
    assert [h["loss"] for h in resumed.history] == pytest.approx(
        [h["loss"] for h in trained(settings).history]
    )


def test_it_stops_when_validation_gets_worse_and_keeps_the_best():
    """Learned by heart, the noise of these labels makes validation worse."""
    noisy, valid = rows(60), rows(60, 1)
    rng = np.random.default_rng(5)
    random = EncodedRows(noisy.single, noisy.lists, rng.integers(0, 2, 60).astype(np.float32))
    settings = SETTINGS.model_copy(update={"epochs": 100, "patience": 3})
    found = train_ranker(SCHEMA, random, valid, settings, 0)
    figures = [one["auc"] for one in found.history]

    assert len(figures) < 100
    assert figures.index(max(figures)) == len(figures) - 4
    assert found.metrics["auc"] == max(figures)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_constant_label_is_refused(label):
    """There is nothing to learn, and the user should know why."""
    some = rows(20)
    constant = EncodedRows(some.single, some.lists, np.full(20, label, np.float32))

    with pytest.raises(DataError, match=f"all 20 training labels are {label:g}"):
        train_ranker(SCHEMA, constant, rows(10, 1), SETTINGS, 0)


def test_a_single_class_in_validation_selects_by_log_loss():
    """There is no AUC then, and no figure claims to be one."""
    some = rows(20, 1)
    constant = EncodedRows(some.single, some.lists, np.ones(20, np.float32))
    found = train_ranker(SCHEMA, rows(), constant, SETTINGS, 0)

    assert found.selected_by == "log_loss"
    assert found.metrics["log_loss"] == min(one["log_loss"] for one in found.history)
    assert "auc" not in found.metrics


def test_without_validation_the_last_epoch_is_kept():
    """Nothing chooses, so all epochs are trained."""
    found = train_ranker(SCHEMA, rows(), rows(0), SETTINGS, 0)

    assert len(found.history) == 3
    assert found.metrics == {}
    assert found.selected_by is None


def test_a_diverged_loss_is_an_error():
    """Not a model."""
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30, "model_settings": {}})

    with pytest.raises(TrainingError, match="smaller learning_rate"):
        trained(settings)


def test_rows_that_weigh_nothing_teach_nothing():
    """Half of the labels are wrong, and have weight 0."""
    some, wrong = rows(), rows()
    both = {name: np.concatenate([codes, codes]) for name, codes in some.single.items()}
    seen = some.lists["seen"]
    offsets = np.concatenate([seen.offsets, seen.offsets[1:] + seen.offsets[-1]])
    twice = Ragged(np.concatenate([seen.values, seen.values]), offsets)
    labels = np.concatenate([some.labels, 1 - wrong.labels])
    weights = np.repeat(np.array([1, 0], np.float32), len(some))
    settings = SETTINGS.model_copy(update={"epochs": 10})
    found = train_ranker(
        SCHEMA, EncodedRows(both, {"seen": twice}, labels, weights), rows(150, 1), settings, 0
    )

    assert found.metrics["auc"] > 0.95


@pytest.mark.parametrize("buffer_rows", [1 << 20, 64, 33])
def test_an_epoch_has_every_row_once(buffer_rows):
    """Whole in memory, or through a buffer; the next epoch has another order."""
    some = rows(500)
    number = EncodedRows(
        {"user": np.arange(500, dtype=np.int32), "item": some.single["item"]},
        some.lists,
        some.labels,
    )
    reader = Reader(SCHEMA, number, 32, buffer_rows, seed=0)
    epochs = [
        np.concatenate([batch.inputs.single[:, 0].numpy() for batch in reader.batches(epoch)])
        for epoch in range(2)
    ]

    assert sorted(epochs[0]) == list(range(500))
    assert sorted(epochs[1]) == list(range(500))
    assert epochs[0].tolist() != epochs[1].tolist()


@pytest.mark.parametrize("buffer_rows", [1 << 20, 64])
def test_a_batch_holds_what_its_rows_hold(buffer_rows):
    """Labels and lists come along, and the rest of an epoch is the rest of that epoch."""
    some = rows(300)
    reader = Reader(SCHEMA, some, 32, buffer_rows, seed=0)
    whole = list(reader.batches(1))
    rest = list(reader.batches(1, skip=3))

    assert len(rest) == len(whole) - 3
    for ours, theirs in zip(rest, whole[3:], strict=True):
        assert torch.equal(ours.inputs.single, theirs.inputs.single)
        assert torch.equal(ours.inputs.values[0], theirs.inputs.values[0])
    single = torch.cat([batch.inputs.single for batch in whole]).numpy()
    labels = torch.cat([batch.labels for batch in whole]).numpy()
    assert (((single[:, 0] < 6) == (single[:, 1] < 6)) == labels).all()


def test_large_tables_get_sparse_gradients():
    """Only there is it cheaper."""
    field = RankerField(spec=FieldSpec(name="user"), n_codes=1_000_000, dim=4)
    large = SCHEMA.model_copy(update={"fields": (field,)})

    assert is_sparse(large, SETTINGS)
    assert not is_sparse(SCHEMA, SETTINGS)


def test_sparse_adam_is_torchs_own():
    """Five steps, rows that come and go, once twice in a batch."""
    ours, theirs = (torch.nn.Embedding(6, 3, sparse=True) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    pairs = (
        (ours, SparseAdam([ours.weight], lr=0.1)),
        (theirs, torch.optim.SparseAdam([theirs.weight], lr=0.1)),
    )
    for looked_up in ([0, 1], [1, 1, 5], [2], [0, 5], [1]):
        for table, optimizer in pairs:
            optimizer.zero_grad()
            table(torch.tensor(looked_up)).square().sum().backward()
            optimizer.step()

    torch.testing.assert_close(ours.weight, theirs.weight)


def test_rowwise_adagrad_is_its_formula():
    """Two steps by hand: the second divides by the root of both squares, rows alone count."""
    table = torch.nn.Embedding(3, 2, sparse=True)
    torch.nn.init.zeros_(table.weight)
    optimizer = RowwiseAdagrad([table.weight], lr=0.1)
    for factors in ([3.0, 4.0], [6.0, 8.0]):
        optimizer.zero_grad()
        (table(torch.tensor([1])) * torch.tensor([factors])).sum().backward()
        optimizer.step()
    first = torch.tensor([3.0, 4.0]) / (25 / 2) ** 0.5
    second = torch.tensor([6.0, 8.0]) / (25 / 2 + 100 / 2) ** 0.5

    torch.testing.assert_close(table.weight[1], -0.1 * (first + second))
    assert not table.weight[[0, 2]].any()
