"""How much of the deep score to keep, fitted on validation.

A deep branch that is right on average still adds noise to the order of a list.  One
number, the share of it that is kept, is fitted on validation queries, as a stacked
model's weight is (Wolpert, Neural Networks 1992; Breiman, Machine Learning 1996).
The likelihood of the targets decides: recall of the first places is too noisy for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

__all__ = ["SHARES", "ShrinksDeep", "fit_share"]

SHARES = (0.15, 0.3, 0.6, 1.0)
"""Shares that are tried, ascending."""


@runtime_checkable
class ShrinksDeep(Protocol):
    """A matcher whose deep branch is a term of the score."""

    def scale_deep(self, factor: float) -> None:
        """Multiply the deep term by a factor, in place."""
        ...


def fit_share(matcher: ShrinksDeep, value: Callable[[], float], without: float) -> float:
    """Keep the share of the deep score with the best value, the smallest where equal.

    Args:
        matcher: Its deep branch is scaled in place.
        value: Judges the matcher as it stands, higher is better.
        without: Value of the two-sided score alone.

    Returns:
        The share that was kept; 0 where no share is better than none.
    """
    current, values = 1.0, []
    for share in SHARES:
        matcher.scale_deep(share / current)
        current = share
        values.append(value())
    best = SHARES[values.index(max(values))] if max(values) > without else 0.0
    matcher.scale_deep(best / current)
    return best
