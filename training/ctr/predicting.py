"""Probabilities of rows, by a ranker as it is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, to_inputs

__all__ = ["predict"]


@torch.no_grad()
def predict(ranker: Ranker, rows: EncodedRows, batch_size: int = 8192) -> NDArray[np.float32]:
    """Return ``(B,)`` float32 probabilities of a positive label; ends in evaluation mode."""
    ranker.eval()
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), batch_size):
        part = rows.take(np.arange(start, min(start + batch_size, len(rows))))
        logits = ranker(to_inputs(ranker.schema, part))
        found[start : start + batch_size] = logits.sigmoid().numpy()
    return found
