"""Whether a ranker's uncertainty is the true one: on rows it has not seen, by how known items are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.ctr.metrics import COLD_IMPRESSIONS
from vizsla.models.ranker.calibration import Floats, Scores

__all__ = ["Spread", "judge_spread"]

_EDGES = (1, COLD_IMPRESSIONS, 100, 1000)
_NAMES = ("0", "1 to 9", "10 to 99", "100 to 999", "1000 and more")


class Spread(BaseModel):
    """Items with about as many training impressions.

    Attributes:
        impressions: How many.
        n_items: With held-out rows.
        n_rows: Of these items.
        std_mean: Mean standard deviation of their logits.
        z2: Mean of ``s^2 / (I + I^2 v)`` over items, with surplus s, information I and variance v
            of held-out rows; 1 where the variance is right, above where it is too small.
        z2_error: Standard error of that.
        z2_without: The same with v = 0: what luck alone does not explain.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    impressions: str
    n_items: int
    n_rows: int
    std_mean: float
    z2: float
    z2_error: float
    z2_without: float


def judge_spread(
    probabilities: Floats,
    labels: Scores,
    items: NDArray[np.int32],
    std: Floats,
    impressions: NDArray[np.int64],
) -> tuple[Spread, ...]:
    """Compare claimed deviations with those seen, the least known items first.

    Args:
        probabilities: ``(M,)`` calibrated, of held-out rows.
        labels: ``(M,)`` 0 or 1.
        items: ``(M,)`` codes of the item field.
        std: ``(M,)`` claimed deviations of logits.
        impressions: ``(C,)`` training rows per code.
    """
    n_codes = len(impressions)
    rows = np.bincount(items, minlength=n_codes)
    surplus = np.bincount(items, labels - probabilities, n_codes)
    own = np.bincount(items, probabilities * (1 - probabilities), n_codes)
    claimed = np.bincount(items, np.square(std), n_codes) / np.maximum(rows, 1)
    group = np.searchsorted(_EDGES, impressions, side="right")
    found = []
    for place, name in enumerate(_NAMES):
        here = np.flatnonzero((group == place) & (own > 0))
        if len(here) < 2:
            continue
        z2 = np.square(surplus[here]) / (own[here] + np.square(own[here]) * claimed[here])
        found.append(
            Spread(
                impressions=name,
                n_items=len(here),
                n_rows=int(rows[here].sum()),
                std_mean=float(np.sqrt(claimed[here]).mean()),
                z2=float(z2.mean()),
                z2_error=float(z2.std(ddof=1) / np.sqrt(len(here))),
                z2_without=float((np.square(surplus[here]) / own[here]).mean()),
            )
        )
    return tuple(found)
