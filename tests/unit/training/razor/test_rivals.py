"""What holds for every rival, and what is particular to some."""

from dataclasses import replace

import numpy as np
import pytest

from training.ctr.settings import RankerSettings
from training.razor.rivals import RIVALS, RivalTask
from training.razor.rivals.task import followed, greedy
from vizsla.errors import UsageError

RANKER = RankerSettings(
    model="dnn", epochs=2, batch_size=128, learning_rate=0.01, model_settings={"hidden": [8]}
)
SIZED = sorted(set(RIVALS) - {"full"})


@pytest.fixture(scope="module")
def task(make_schema, make_rows):
    rows = make_rows(6_000)
    rows, valid = rows.take(np.arange(5_000)), rows.take(np.arange(5_000, 6_000))
    return RivalTask(make_schema(dim=8), rows, valid, budget=7_000, seed=0, ranker=RANKER)


@pytest.fixture(scope="module")
def found(task):
    return {name: RIVALS.load(name)(task) for name in RIVALS}


@pytest.mark.parametrize("name", SIZED)
def test_the_budget_is_kept(found, task, name):
    assert 0 < found[name].n_parameters <= task.budget


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_every_field_is_named_and_the_method_recorded(found, task, name):
    schema = found[name]

    assert [f.spec for f in schema.fields] == [f.spec for f in task.schema.fields]
    if name != "full":
        assert (schema.search.method, schema.search.parent) == (name, task.schema.schema_id)


@pytest.mark.parametrize("name", SIZED)
def test_the_same_seed_gives_the_same(found, task, name):
    assert RIVALS.load(name)(task) == found[name]


@pytest.mark.parametrize("name", ["magnitude", "random", "uniform", "power_law"])
def test_too_small_a_budget_is_refused(task, name):
    with pytest.raises(UsageError, match=name):
        RIVALS.load(name)(replace(task, budget=1))


def test_a_uniform_schema_is_as_wide_as_fits(make_schema, make_rows):
    task = RivalTask(make_schema(["strong", "weak"], dim=8), None, None, 72 * 3 + 71, 0)

    assert [f.dim for f in RIVALS.load("uniform")(task).fields] == [3, 3]


def test_power_law_widths_fall_with_the_number_of_values(make_schema):
    task = RivalTask(
        make_schema(["strong", "weak"], dim=16),
        None,
        None,
        budget=12 * 16 + 60 * 8,
        seed=0,
        options={"exponents": (0.5,)},
    )
    dims = {f.spec.name: f.dim for f in RIVALS.load("power_law")(task).fields}

    assert dims["weak"] == pytest.approx(dims["strong"] / 5**0.5, abs=1)
    assert dims["strong"] > dims["weak"]


def test_a_field_that_shares_follows_its_owner(make_schema):
    schema = make_schema(["weak", "history"], dim=8)

    assert followed(schema, {"weak": 3}) == {"weak": 3, "history": 3}
    assert followed(schema, {"weak": 3, "history": 0}) == {"weak": 3, "history": 0}


def test_columns_that_do_not_fit_are_skipped(make_schema):
    task = RivalTask(make_schema(["strong", "weak"], dim=8), None, None, budget=90, seed=0)

    assert greedy(task, ["strong", "weak", "weak", "strong"]) == {"strong": 2, "weak": 1}


def test_what_looks_at_labels_finds_the_noise(found):
    for name in ("permutation", "autofield"):
        dims = {f.spec.name: f.dim for f in found[name].fields}

        assert dims["noise_many"] == 0, name
