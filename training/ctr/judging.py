"""Figures of a ranker on validation and test rows, cold items apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.ctr.metrics import cold_start, evaluate
from training.ctr.predicting import probabilities
from vizsla.contracts.features import FrameSplit
from vizsla.fields import EncodedRows

__all__ = ["ITEMS", "USERS", "judge"]

USERS = ("user_id", "user")
ITEMS = ("item_id", "item")


def judge(
    logits: Mapping[FrameSplit, NDArray[np.float32]], rows: Mapping[FrameSplit, EncodedRows]
) -> dict[str, dict[str, float]]:
    """Return figures by split; ``SPLIT.cold`` is of items that training has seldom seen.

    Args:
        logits: ``(B,)`` of each split to be judged.
        rows: Of those splits and of ``train``; fields ``user_id`` and ``item_id`` (or
            ``user`` and ``item``) say whose rows they are, where they are there.
    """
    figures: dict[str, dict[str, float]] = {}
    training_items = _codes(rows["train"], ITEMS)
    for split, own in logits.items():
        some = rows[split]
        if not len(some) or some.labels is None:
            continue
        predicted = probabilities(own)
        figures[split] = evaluate(some.labels, predicted, _codes(some, USERS))
        items = _codes(some, ITEMS)
        if items is not None and training_items is not None:
            cold = cold_start(some.labels, predicted, items, training_items)
            figures[f"{split}.cold"] = cold
    return figures


def _codes(rows: EncodedRows, names: tuple[str, ...]) -> NDArray[np.int32] | None:
    return next((rows.single[name] for name in names if name in rows.single), None)
