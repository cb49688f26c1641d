"""What a search has to find among planted fields."""

from __future__ import annotations

import pytest

from training.bench.ranking.planted import found, planted_targets

PLANTED = {
    "informative_0": 1,
    "informative_1": 2,
    "informative_2": 8,
    "redundant_0": 0,
    "noise_0": 0,
    "noise_1": 0,
}


def test_fields_of_each_kind_are_counted_apart():
    """One noise field of two is dropped, the redundant one is kept, one informative is lost."""
    widths = {"informative_0": 0, "informative_1": 3, "informative_2": 30}
    row = found(PLANTED, widths | {"redundant_0": 1, "noise_0": 0, "noise_1": 2})

    assert row["noise_dropped"] == 0.5
    assert row["redundant_dropped"] == 0
    assert row["informative_kept"] == pytest.approx(2 / 3)
    assert row["dim_correlation"] == pytest.approx(1)


def test_equal_widths_tell_nothing_of_dimensions():
    """The full model has a correlation of 0, not none."""
    assert found(PLANTED, dict.fromkeys(PLANTED, 30))["dim_correlation"] == 0


def test_the_razor_alone_is_judged_by_its_mean_over_frames():
    """0.7 and 1 are 0.85 on average; the full model's 0 is not counted."""
    rows = [
        {"arm": "razor", "noise_dropped": 1, "informative_kept": 1, "dim_correlation": one}
        for one in (0.7, 1.0)
    ]
    rows.append({"arm": "full", "noise_dropped": 0, "informative_kept": 1, "dim_correlation": 0})
    targets = {one.name: one for one in planted_targets(rows)}

    assert targets["dim_correlation"].value == pytest.approx(0.85)
    assert targets["noise_dropped"].met
    assert not targets["search, in passes"].met
