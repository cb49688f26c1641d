"""AUC as reports hold it: JSON has no NaN."""

from __future__ import annotations

import math

from training.ctr.metrics import auc
from vizsla.models.ranker.calibration import Scores

__all__ = ["defined_auc"]


def defined_auc(labels: Scores, scores: Scores) -> float | None:
    """Return the AUC of ``(B,)`` scores, None where there is one label only."""
    value = auc(labels, scores)
    return None if math.isnan(value) else value
