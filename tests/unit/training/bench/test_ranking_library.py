"""The comparison with a public library: what is told from its rows."""

from __future__ import annotations

import pytest

from training.bench.ranking.library import library_rivals, library_targets


def row(system, auc, rate):
    return {"system": system, "test_auc": auc, "rows_per_cpu_s": rate}


def test_means_are_compared_whichever_is_higher():
    """Means 0.78 and 0.781, also where we are above; speed is the median of ratios 2, 3 and 4."""
    theirs = [row("library", auc, 100.0) for auc in (0.77, 0.78, 0.79)]
    ours = [row("vizsla", auc, rate) for auc, rate in ((0.791, 300.0), (0.781, 200), (0.771, 400))]
    difference, speed = library_targets(theirs + ours)

    assert difference.value == pytest.approx(0.001)
    assert difference.met
    assert (speed.value, speed.met) == (3.0, True)


def test_half_a_comparison_says_nothing():
    """A turn of one side alone is not compared."""
    assert library_targets([row("library", 0.7, 1.0)]) == []


def test_the_environment_names_every_package():
    """Each with its version, since nothing else is resolved."""
    lines = library_rivals().requirements.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]

    assert packages
    assert all("==" in line for line in packages)
