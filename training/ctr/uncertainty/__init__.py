"""Fit and judge how unsure a ranker is of its logits."""

from __future__ import annotations

from training.ctr.uncertainty.fit import (
    ItemPrior,
    Seen,
    curvature,
    fit_items,
    fit_last_layer,
    fit_uncertainty,
)
from training.ctr.uncertainty.judge import Spread, judge_spread
from training.ctr.uncertainty.seeing import last_layer, last_weights, see, see_batches, stored

__all__ = [
    "ItemPrior",
    "Seen",
    "Spread",
    "curvature",
    "fit_items",
    "fit_last_layer",
    "fit_uncertainty",
    "judge_spread",
    "last_layer",
    "last_weights",
    "see",
    "see_batches",
    "stored",
]
