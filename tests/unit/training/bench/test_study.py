"""Arms over seeds, on rows made by hand."""

import pytest

from training.bench.study import seed_estimate, summarise


def row(arm, seed, values, dataset="d"):
    """Two queries each; the figure is their mean."""
    return {
        "dataset": dataset,
        "arm": arm,
        "seed": seed,
        "n_queries": len(values),
        "share": 1.0,
        "cpu_s": 10.0,
        "validation_served_recall_at_20": 0.5,
        "recall": sum(values) / len(values),
        "queries": {"recall": ",".join(map(str, values))},
    }


def test_the_interval_over_seeds_is_students():
    """Two values 1 and 3: standard error 1, and 12.706 of them with one degree of freedom."""
    mean, low, high = seed_estimate([1.0, 3.0])

    assert mean == 2.0
    assert (low, high) == (pytest.approx(2 - 12.706, abs=1e-3), pytest.approx(14.706, abs=1e-3))
    assert seed_estimate([0.5]) == [0.5, None, None]


def test_gains_are_paired_by_seed():
    """The seeds differ much, the arms always by 0.25: the difference is sure."""
    rows = [row("off", 0, [0.0, 0.5]), row("off", 1, [0.5, 1.0])]
    rows += [row("on", 0, [0.25, 0.75]), row("on", 1, [0.75, 1.25])]
    off, on = summarise(rows, ["off", "on"], ["recall"], "off")

    assert off["recall"][0] == 0.5
    assert "recall_gain" not in off
    assert on["recall_gain"] == pytest.approx([0.25, 0.25, 0.25])
    assert on["recall_gain_by_query"] == pytest.approx([0.25, 0.25, 0.25])
    assert on["recall_clear"] is True
    assert (on["n_seeds"], on["n_queries"]) == (2, 4)


def test_a_gain_that_changes_sign_between_seeds_is_not_clear():
    """Up by half on one, down by a quarter on the other."""
    rows = [row("off", 0, [0.0, 0.5]), row("off", 1, [0.5, 1.0])]
    rows += [row("on", 0, [0.5, 1.0]), row("on", 1, [0.25, 0.75])]
    _, on = summarise(rows, ["off", "on"], ["recall"], "off")

    assert on["recall_gain"][0] == pytest.approx(0.125)
    assert on["recall_clear"] is False


def test_only_seeds_that_both_have_are_compared():
    """A study cut short has arms with fewer seeds; one pair has no interval over seeds."""
    rows = [row("off", 0, [0.0, 0.0]), row("on", 0, [0.5, 0.5]), row("on", 1, [1.0, 1.0])]
    _, on = summarise(rows, ["off", "on"], ["recall"], "off")

    assert on["recall"][0] == 0.75
    assert on["recall_gain"] == [0.5, None, None]
    assert on["recall_clear"] is False


def test_arms_and_datasets_without_rows_are_left_out():
    """One dataset has both arms, the other one."""
    rows = [row("off", 0, [0.0]), row("on", 0, [1.0]), row("off", 0, [0.0], dataset="e")]
    found = [(r["dataset"], r["arm"]) for r in summarise(rows, ["off", "on"], ["recall"], "off")]

    assert found == [("d", "off"), ("d", "on"), ("e", "off")]
