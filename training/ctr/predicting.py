"""Logits and probabilities of rows, by a ranker as it is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, to_inputs

__all__ = ["predict", "probabilities", "raw_logits"]


@torch.no_grad()
def raw_logits(ranker: Ranker, rows: EncodedRows, batch_size: int = 8192) -> NDArray[np.float32]:
    """Return ``(B,)`` float32 logits before any calibration; ends in evaluation mode."""
    ranker.eval()
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), batch_size):
        part = rows.take(np.arange(start, min(start + batch_size, len(rows))))
        found[start : start + batch_size] = ranker(to_inputs(ranker.schema, part)).numpy()
    return found


def predict(ranker: Ranker, rows: EncodedRows, batch_size: int = 8192) -> NDArray[np.float32]:
    """Return ``(B,)`` float32 probabilities of a positive label; ends in evaluation mode."""
    return probabilities(raw_logits(ranker, rows, batch_size))


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(B,)`` float32 probabilities of logits."""
    found: NDArray[np.float32] = torch.from_numpy(logits).sigmoid().numpy()
    return found
