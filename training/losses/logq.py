"""Correction of logits for how likely each item was drawn as a negative.

Shapes: **P** positives of a batch, **S** negatives.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from torch import Tensor

from training.losses.base import LogitBatch

__all__ = ["LogQ", "correct"]

LogQ = Literal["off", "all", "negatives"]
"""``all``: positives and negatives alike (Yi et al., RecSys 2019; TensorFlow's sampled softmax).
``negatives``: only the negatives, scaled so that their sum estimates the sum over the whole
catalogue (the positive is not drawn, it is always there).  ``off``: none."""


def correct(logits: LogitBatch, positive_log_q: Tensor, log_q: Tensor, mode: LogQ) -> LogitBatch:
    """Subtract the log of the expected number of draws.

    Args:
        logits: Raw scores.
        positive_log_q: ``(P,)`` float32 log probability of one draw of the positive.
        log_q: ``(S,)`` or ``(Q, S)`` float32 log probability of one draw.
        mode: See ``LogQ``.

    Returns:
        Logits whose sampled softmax estimates the full one.

    Example:
        Uniform draws, two of four items: each stands for two.

        >>> import torch
        >>> zeros = LogitBatch(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 2))
        >>> quarter = torch.full((2,), math.log(1 / 4))
        >>> correct(zeros, quarter[:1], quarter, "negatives").negative.exp()
        tensor([[2., 2.]])
    """
    if mode == "off":
        return logits
    log_count = math.log(max(logits.negative.shape[1], 1))
    negative = logits.negative - log_q - log_count
    if mode == "negatives":
        return replace(logits, negative=negative)
    positive = logits.positive - positive_log_q - log_count
    return replace(logits, positive=positive, negative=negative)
