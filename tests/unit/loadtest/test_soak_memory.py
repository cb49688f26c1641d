"""The verdict on a process's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadtest.soak_memory import MemoryWatch


def watched(seconds: int, memory: Callable[[int], float]) -> dict[str, Any]:
    watch = MemoryWatch()
    for second in range(seconds):
        watch.note(second, memory(second))
    return watch.report()


def test_a_short_life_says_nothing() -> None:
    """However fast the memory of a short life grew, there is no slope and no verdict."""
    report = watched(400, lambda second: second)

    assert report["verdict"] == "too short"
    assert "slope_mib_per_min" not in report
    assert (report["first_mib"], report["last_mib"], report["peak_mib"]) == (0, 399, 399)


def test_nothing_watched_says_nothing() -> None:
    """A process that was killed before the first sample has no figures."""
    assert MemoryWatch().report() == {"watched_s": 0, "verdict": "too short"}
    assert MemoryWatch().floor_mib == 0


@pytest.mark.parametrize(("per_minute", "verdict"), [(0.5, "flat"), (1.5, "grows")])
def test_a_steady_rise_is_measured(per_minute: float, verdict: str) -> None:
    """The slope is found again, and more than a MiB a minute is a failure."""
    report = watched(601, lambda second: 300 + per_minute * second / 60)

    assert report["slope_mib_per_min"] == pytest.approx(per_minute, abs=0.01)
    assert report["verdict"] == verdict


def test_the_warm_up_does_not_count() -> None:
    """Tables that are made in the first two minutes are no leak."""
    report = watched(601, lambda second: 200 + min(second, 110))

    assert report["slope_mib_per_min"] == 0
    assert (report["first_mib"], report["warm_floor_mib"]) == (200, 310)


def test_what_is_held_for_a_moment_does_not_count() -> None:
    """Higher and higher peaks between which everything is given back, and one step, are flat."""
    report = watched(601, lambda second: 300 + (second % 10) * second + 8 * (second > 500))

    assert report["verdict"] == "flat"
    assert report["slope_mib_per_min"] == 0


def test_a_slow_leak_under_noise_is_found() -> None:
    """Three MiB a minute below peaks of fifty are more than the bound."""
    report = watched(601, lambda second: 300 + second / 20 + 50 * (second % 7 == 0))

    assert report["slope_mib_per_min"] == pytest.approx(3, abs=0.05)
    assert report["verdict"] == "grows"


def test_a_leak_in_one_step_is_growth_too():
    """The median slope of one step is zero; the last floor is a fifth above the first."""
    watch = MemoryWatch()
    for second in range(600):
        watch.note(second, 500 if second < 400 else 600)
    report = watch.report()

    assert (report["slope_mib_per_min"], report["verdict"]) == (0.0, "grows")
