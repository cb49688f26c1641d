"""The figures of the closed-loop client."""

from __future__ import annotations

from loadtest.closed_loop import Outcome, Report


def report(*took_ms: float) -> Report:
    outcomes = [Outcome(row, 200, b"", "", ms / 1000) for row, ms in enumerate(took_ms)]
    return Report(outcomes, took_s=2.0)


def test_percentiles_are_by_nearest_rank() -> None:
    """The median of four is the second, the 99th percentile the last."""
    figures = report(40, 10, 30, 20)

    assert figures.percentile_ms(0.5) == 20
    assert figures.percentile_ms(0.99) == 40


def test_rate_is_answers_over_time() -> None:
    """Four answers in two seconds are two per second."""
    assert report(1, 1, 1, 1).per_second == 2.0
