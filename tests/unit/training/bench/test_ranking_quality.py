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
