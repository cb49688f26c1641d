"""How the learning rate moves over the steps of a stage."""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["Schedule", "learning_rate_factor"]

Schedule = Literal["constant", "cosine", "linear"]


def learning_rate_factor(
    step: int, n_steps: int, schedule: Schedule, warmup_ratio: float, final_ratio: float = 0.01
) -> float:
    """Return the factor of the learning rate at a step; a function of the step alone.

    Rises linearly over the first ``warmup_ratio`` of the steps, then stays, falls like
    half a cosine, or falls linearly, to ``final_ratio`` at the end.

    Args:
        step: From 0.
        n_steps: Steps of the stage.
        schedule: See ``Schedule``.
        warmup_ratio: In [0, 1).
        final_ratio: In [0, 1].

    Example:
        >>> [learning_rate_factor(step, 4, "constant", 0.5) for step in range(4)]
        [0.5, 1.0, 1.0, 1.0]
    """
    n_warmup = round(warmup_ratio * n_steps)
    if step < n_warmup:
        return (step + 1) / n_warmup
    if schedule == "constant":
        return 1.0
    done = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
    left = (1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1.0 - done
    return final_ratio + (1.0 - final_ratio) * left
