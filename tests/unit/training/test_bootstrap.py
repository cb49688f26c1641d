"""Bootstrap intervals: what they must contain and how wide they are."""

import numpy as np
import pytest

from training.bootstrap import mean_intervals, paired_differences
from vizsla.errors import ContractError


def test_the_interval_is_as_wide_as_theory_says():
    """For many independent values the width is that of the normal approximation."""
    values = np.random.default_rng(0).normal(size=4_000)
    interval = mean_intervals({"x": values}, seed=1)["x"]

    width = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)
    assert interval.low < interval.mean < interval.high


def test_the_same_seed_gives_the_same_interval():
    """A report can be made again."""
    values = {"x": np.arange(10.0)}

    assert mean_intervals(values, seed=3) == mean_intervals(values, seed=3)


def test_all_names_share_the_resamples():
    """Twice the values give twice the interval, exactly."""
    values = np.random.default_rng(0).random(50)
    found = mean_intervals({"x": values, "twice": 2 * values}, seed=0)

    assert np.allclose(np.array(found["twice"]), 2 * np.array(found["x"]))


def test_pairing_removes_the_difficulty_of_the_queries():
    """A small constant lead is found although queries differ a hundred times more."""
    hard = np.random.default_rng(0).normal(size=200)
    lead = paired_differences({"x": hard + 0.01}, {"x": hard}, seed=0)["x"]

    assert lead.low == pytest.approx(0.01)


def test_no_lead_is_claimed_between_equal_systems():
    """The interval of noise around zero holds zero."""
    rng = np.random.default_rng(5)
    lead = paired_differences({"x": rng.random(500)}, {"x": rng.random(500)}, seed=0)["x"]

    assert lead.low < 0 < lead.high


def test_blocks_do_not_change_the_number_of_resamples():
    """Many queries are resampled in several blocks."""
    interval = mean_intervals({"x": np.ones(9_000)}, seed=0, n_resamples=1_000)["x"]

    assert interval == (1.0, 1.0, 1.0)


def test_no_query_is_refused():
    """There is no mean of nothing."""
    with pytest.raises(ContractError, match="at least one query"):
        mean_intervals({"x": np.empty(0)}, seed=0)


def test_different_queries_cannot_be_paired():
    """Lengths must agree."""
    with pytest.raises(ContractError, match="3 queries against 2"):
        paired_differences({"x": np.ones(3)}, {"x": np.ones(2)}, seed=0)


def test_a_metric_the_other_lacks_is_named():
    """The message says which."""
    with pytest.raises(ContractError, match="recall_at_5"):
        paired_differences({"recall_at_5": np.ones(3)}, {}, seed=0)
