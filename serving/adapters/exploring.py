"""What candidates may be worth: upper bounds and draws, by a ranker's own uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.core.ranking import Exploration, Explored
from vizsla.models.ranker.calibration import Floats, sigmoid
from vizsla.models.ranker.sides import ItemSide, Scored
from vizsla.models.ranker.uncertainty import Uncertainty
from vizsla.rng import numpy_generator

__all__ = ["explore"]


def explore(
    uncertainty: Uncertainty,
    logits: Floats,
    scored: Scored,
    items: ItemSide,
    item_ids: Sequence[str],
    asked: Exploration,
) -> Explored:
    """Return what orders C candidates of one request in place of their logits.

    Args:
        uncertainty: Of the ranker.
        logits: ``(C,)`` calibrated.
        scored: Of the same candidates, with what the last layer read.
        items: Their side, with codes.
        item_ids: An item that is named twice gets one draw; two new items get two.
        asked: How to explore.
    """
    if scored.hidden is None or items.codes is None:  # there are no candidates
        return Explored(logits, sigmoid(logits), np.zeros_like(logits))
    std = uncertainty.std(scored.hidden, items.codes)
    if asked.n_std is not None:
        scores = logits + asked.n_std * std
    else:
        first: dict[str, int] = {}
        nums = np.array([first.setdefault(one, len(first)) for one in item_ids], np.int64)
        generator = numpy_generator(0, "thompson", asked.request_id)
        scores = uncertainty.draw(logits, scored.hidden, items.codes, generator, nums)
    return Explored(scores, sigmoid(scores), std)
