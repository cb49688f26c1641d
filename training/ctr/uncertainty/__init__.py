"""Fit and judge how unsure a ranker is of its logits."""

from __future__ import annotations

from training.ctr.uncertainty.fit import ItemPrior, fit_items, fit_last_layer, fit_uncertainty
from training.ctr.uncertainty.judge import Spread, judge_spread

__all__ = [
    "ItemPrior",
    "Spread",
    "fit_items",
    "fit_last_layer",
    "fit_uncertainty",
    "judge_spread",
]
