"""What the click model itself would score on rows that it made: no model can be better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.datasets.frames.planted import probability

__all__ = ["BayesFigures"]

MOST_ROWS = 4_000_000


class BayesFigures:
    """Collects log-odds and labels of the first four million test rows."""

    def __init__(self) -> None:
        self._logits: list[NDArray[np.float32]] = []
        self._labels: list[NDArray[np.float32]] = []
        self._n_rows = 0

    def add(self, logits: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Take ``(B,)`` true log-odds and labels in."""
        n_rows = min(len(logits), MOST_ROWS - self._n_rows)
        self._logits.append(logits[:n_rows])
        self._labels.append(labels[:n_rows])
        self._n_rows += n_rows

    def result(self) -> dict[str, float | int | str]:
        """Return AUC and log loss of the true probabilities."""
        logits, labels = np.concatenate(self._logits), np.concatenate(self._labels)
        chance = np.clip(probability(logits), 1e-7, 1 - 1e-7)
        loss = -np.where(labels == 1, np.log(chance), np.log1p(-chance)).mean()
        return {
            "split": "test",
            "n_rows": len(labels),
            "auc": _auc(logits, labels),
            "log_loss": float(loss),
            "positive_rate": float(labels.mean()),
        }


def _auc(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Return the share of pairs in the right order, ties counting half; NaN with one class."""
    values, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place, labels, len(values))
    negative = np.bincount(place, 1 - labels, len(values))
    below = np.cumsum(negative) - negative / 2
    pairs = positive.sum() * negative.sum()
    return float((positive * below).sum() / pairs) if pairs else float("nan")
