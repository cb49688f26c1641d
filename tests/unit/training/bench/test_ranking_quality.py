"""Ranking studies: what is averaged, what is compared within a seed, and what is asked for."""

from __future__ import annotations

import pytest

from training.bench.ranking.plots import plot_arms
from training.bench.ranking.quality import noise_targets, quality_targets, summarise


def row(arm, seed, auc, frame="ml-100k-ctr", **more):
    about = {"input_width": 10, "multiplications": 100, "table_bytes": 400, "n_noise_kept": 0}
    about |= {"parameter_ratio": 1.0 if arm == "full" else 0.05, "log_loss": 1 - auc}
    about |= {"search_cpu_s": 2.0 if arm == "razor" else 0.0, "epoch_cpu_s": 2.0}
    return {"frame": frame, "arm": arm, "seed": seed, "auc": auc} | about | more


ROWS = [
    row("full", 0, 0.70),
    row("full", 1, 0.72),
    row("razor", 0, 0.73),
    row("razor", 1, 0.75, n_noise_kept=1),
    row("knowing", 0, 0.74),
    row("knowing", 1, 0.75),
    row("uniform", 0, 0.71),
    row("uniform", 1, 0.74),
]
ARMS = ("full", "razor", "knowing", "uniform")


def summary(rows=ROWS):
    return list(summarise(rows, ("ml-100k-ctr",), ARMS))


def test_differences_are_taken_within_a_seed():
    """The razor is 0.03 above the full model in both seeds, so its interval has no width."""
    razor = next(one for one in summary() if one["arm"] == "razor")

    assert razor["auc_gain"] == pytest.approx([0.03, 0.03, 0.03])
    assert razor["auc"][0] == pytest.approx((0.73 + 0.75) / 2)
    assert razor["search_passes"] == pytest.approx(2.0 / 2.0)


def test_a_rival_is_held_against_the_razor():
    """0.02 and 0.01 behind."""
    uniform = next(one for one in summary() if one["arm"] == "uniform")

    assert uniform["auc_behind_razor"][0] == pytest.approx(-0.015)


def test_the_noise_targets_ask_what_was_promised():
    """One seed of two kept a noise field: half, where four of five are asked."""
    found = {one.name: one for one in noise_targets(summary(), ROWS)}
    clean = found["ml-100k-ctr: seeds in which all noise is dropped"]

    assert (clean.value, clean.met) == (0.5, False)
    assert found["ml-100k-ctr: AUC above no selection"].met
    assert found["ml-100k-ctr: AUC below knowing the noise"].value == pytest.approx(0.005)


def test_a_rival_is_beaten_frame_by_frame():
    """On one frame, where two are asked."""
    found = {one.name: one for one in quality_targets(summary())}

    beaten = found["frames on which the razor's mean AUC is above uniform"]
    assert (beaten.value, beaten.met) == (1, False)
    assert found["ml-100k-ctr: share of parameters"].met


def test_without_the_razor_nothing_is_judged():
    """A file with the rivals alone is still a table."""
    rest = [one for one in ROWS if one["arm"] != "razor"]

    assert list(noise_targets(summary(rest), rest)) == []


def test_every_arm_is_in_the_picture(tmp_path):
    """One seed has no interval and is drawn all the same."""
    plot_arms(summary(ROWS[::2]), tmp_path / "arms.png")

    assert (tmp_path / "arms.png").stat().st_size > 5_000


FAILED = {"frame": "ml-100k-ctr", "arm": "uniform", "failed": "nothing fits 5 entries"}


def test_an_arm_that_fits_nothing_is_a_row_that_says_why():
    """Uniform widths fit in no seed: no figure, no beaten rival, and everybody else stands."""
    rows = [one for one in ROWS if one["arm"] != "uniform"]
    rows += [FAILED | {"seed": seed} for seed in (0, 1)]

    found = summary(rows)

    assert found[-1] == FAILED | {"n_seeds": 0, "failed": "2 seeds: nothing fits 5 entries"}
    assert found[:-1] == summary(rows[:-2])
    beaten = {one.name: one.value for one in quality_targets(found)}
    assert beaten["frames on which the razor's mean AUC is above uniform"] == 0


def test_an_arm_that_fits_in_some_seeds_is_averaged_over_those(tmp_path):
    """Seed 1 fits nothing, so seed 0 is all there is."""
    rows = [*ROWS[:-1], FAILED | {"seed": 1}]
    uniform = summary(rows)[-1]

    assert (uniform["n_seeds"], uniform["auc"][0]) == (1, 0.71)
    assert uniform["failed"] == "1 seeds: nothing fits 5 entries"
    plot_arms(
        [*summary(rows), {"frame": "ml-100k-ctr", "arm": "x", "n_seeds": 0}], tmp_path / "a.png"
    )


def test_a_razor_that_keeps_nothing_has_not_dropped_the_noise_for_good():
    """Of two seeds one kept no field at all, which is no success."""
    rows = [row("razor", 1, 0.75), *ROWS[:2], *ROWS[4:6], FAILED | {"arm": "razor", "seed": 0}]
    found = {one.name: one for one in noise_targets(summary(rows), rows)}

    assert found["ml-100k-ctr: seeds in which all noise is dropped"].value == 0.5
