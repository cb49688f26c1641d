"""The speed bench: our side, the ratios, and what a batch of negatives costs."""

import math
from dataclasses import replace

import numpy as np
import pytest

from training.bench.own_speed import own_recipe, train_own
from training.bench.rival_run import EpochTime
from training.bench.sampler_cost import (
    CostSettings,
    LogSize,
    cost_rows,
    cost_targets,
    zipf_log,
)
from training.bench.speed import (
    CASES,
    COLUMNS,
    SETTINGS,
    SPLITS,
    SpeedCase,
    SpeedPlan,
    _job,
    _pairs,
    _row,
    speed_targets,
)

JOB = replace(SETTINGS, model="bpr-mf", batch_size=64, epochs=3, learning_rate=0.05)


@pytest.mark.parametrize("model", ["bpr-mf", "lightgcn"])
def test_our_side_trains_every_pair_in_every_epoch(model, split):
    """All interactions are counted, time passes, and the loss falls."""
    found = train_own(split, replace(JOB, model=model))

    assert [epoch.interactions for epoch in found] == [len(split.train.values)] * 3
    assert all(epoch.seconds > 0 for epoch in found)
    assert found[-1].loss < found[0].loss <= math.log(2) + 0.1


def test_our_side_can_stop_after_some_batches(split):
    """Two batches of 64."""
    found = train_own(split, replace(JOB, max_batches=2))

    assert [epoch.interactions for epoch in found] == [128] * 3


def test_both_sides_are_told_the_same():
    """Embedding, batch, rate and weight of the job stand in our recipe."""
    recipe = own_recipe(replace(SETTINGS, model="lightgcn", reg=1e-5, epochs=2))

    assert recipe.model_settings == {"embedding_size": 64, "n_layers": 3}
    assert (recipe.batch_size, recipe.learning_rate, recipe.touched_reg) == (2048, 1e-3, 1e-5)
    assert (recipe.optimizer, recipe.reduction, recipe.gradient_clip) == ("adam", "mean", 0.0)


def test_jobs_differ_by_system_only_where_they_must(split, tmp_path):
    """RecBole and we get the same job; implicit's plain descent has a rate of its own."""
    plan, case = SpeedPlan(tmp_path, threads=2), SpeedCase("bpr-mf", "ml-100k", epochs=4)
    theirs, ours, compiled = (_job(plan, case, s, split) for s in ("recbole", "vizsla", "implicit"))

    assert replace(theirs, system="vizsla") == ours
    assert (ours.epochs, ours.threads, compiled.learning_rate) == (5, 2, 0.05)


def test_ratios_are_taken_within_a_turn(tmp_path):
    """Turns of 10 against 40 and 20 against 60: ratios 4 and 3, median 3.5."""
    times = {
        "recbole": [[EpochTime(1.0, n, 0.6, "recbole 1")] for n in (10, 20)],
        "vizsla": [[EpochTime(1.0, n, 0.6, "vizsla")] for n in (40, 60)],
    }
    case = SpeedCase("bpr-mf", "ml-100k", epochs=1)
    row = _row(SpeedPlan(tmp_path), case, "recbole", times, n_pairs=30)

    assert (row["ours_over_it"], row["ours_over_it_low"], row["ours_over_it_high"]) == (3.5, 3, 4)
    assert (row["interactions_per_s"], row["epoch_s"]) == (15, 30 / 15)
    assert speed_targets([row])[0].met


def test_only_the_rival_that_computes_the_same_is_a_target():
    """Compiled per-pair descent is shown, not judged."""
    rows = [{"system": name, "model": "m", "dataset": "d"} for name in ("implicit", "vizsla")]

    assert speed_targets(rows) == []


def test_pairs_are_distinct_and_complete(split):
    """What the rivals train on is what we train on."""
    pairs = _pairs(split)

    assert len(pairs.users) == len(split.train.values)
    assert set(pairs.items[pairs.users == 0]) == set(split.train[0])


def test_every_case_has_a_split():
    """Datasets of the table are known."""
    assert {case.dataset for case in CASES} <= set(SPLITS)


def test_a_made_up_log_is_skewed_and_repeatable():
    """Same seed, same log; the most popular hundredth has more than a tenth."""
    size = LogSize(200, 1000, 5_000)
    rows, again = zipf_log(size, 3), zipf_log(size, 3)
    counts = np.sort(np.bincount(rows.values, minlength=1000))[::-1]

    assert np.array_equal(rows.values, again.values)
    assert counts[:10].sum() > 0.1 * counts.sum()
    assert all(len(np.unique(row)) == len(row) for row in rows)


def test_costs_come_with_their_ratio():
    """One row per sampler, dns being the measure of all."""
    settings = CostSettings(batch_size=32, rounds=3, embedding_size=4)
    rows = {row["system"]: row for row in cost_rows(LogSize(50, 80, 600), settings)}

    assert list(rows) == ["uniform", "dns", "bns"]
    assert rows["dns"]["over_dns"] == 1.0
    assert rows["bns"]["over_dns"] == pytest.approx(
        rows["bns"]["cpu_ms_per_batch"] / rows["dns"]["cpu_ms_per_batch"]
    )


@pytest.mark.parametrize(("ratio", "met"), [(1.5, True), (1.51, False)])
def test_bns_may_cost_half_as_much_again(ratio, met):
    """At most 1.5 times dns."""
    target = cost_targets([{"system": "bns", "n_items": 1682, "over_dns": ratio}])[0]

    assert target.met is met
    assert target.name == "1,682 items: processor time of a batch, bns over dns"


def test_the_columns_are_those_of_the_rows(tmp_path):
    """Every column is filled by training rows or by sampler rows."""
    times = {"vizsla": [[EpochTime(1.0, 1, 0.6, "vizsla")]]}
    training = _row(SpeedPlan(tmp_path), CASES[0], "vizsla", times, n_pairs=1)
    sampler = cost_rows(LogSize(20, 30, 100), CostSettings(batch_size=8, rounds=2))[0]

    assert set(COLUMNS) <= training.keys() | sampler.keys()
