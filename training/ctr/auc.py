"""The area under the ROC curve, where it is defined."""

from __future__ import annotations

import numpy as np

from vizsla.models.ranker.calibration import Scores

__all__ = ["auc"]


def auc(scores: Scores, labels: Scores) -> float | None:
    """Return the share of pairs in the right order, ties half; None with one label only.

    Example:
        >>> auc(np.array([0.1, 0.5, 0.5]), np.array([0.0, 0.0, 1.0]))
        0.75
    """
    from scipy.stats import rankdata

    positive = np.asarray(labels, np.float64) > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    ranks = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * n_negative))
