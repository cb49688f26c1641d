"""What an impression is worth; NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import UsageError

__all__ = ["MAX_BID", "ecpm"]

MAX_BID = 1e6
"""Per click, in units of any currency: what lies above is a mistake in the unit."""


def ecpm(probabilities: NDArray[np.float64], bids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected revenue of a thousand impressions: ``1000 * bid * pCTR``.

    Args:
        probabilities: ``(B,)`` calibrated probabilities of a click, among all impressions.
        bids: ``(B,)`` per click, from 0 to ``MAX_BID``, in units of a currency (not in cents
            or micros).

    Returns:
        ``(B,)`` in the same currency per thousand impressions.

    Raises:
        UsageError: A bid is negative, too large or not a number; names the place.

    Example:
        A click in a hundred impressions, at 0.50 each:

        >>> ecpm(np.array([0.01]), np.array([0.5])).tolist()
        [5.0]
    """
    wrong = np.flatnonzero(~((bids >= 0) & (bids <= MAX_BID)))
    if len(wrong):
        raise UsageError(
            f"bid {bids[wrong[0]]} of item {wrong[0]}: give a price per click from 0 to {MAX_BID:,.0f}"
        )
    return np.asarray(1000.0 * bids * probabilities, np.float64)
