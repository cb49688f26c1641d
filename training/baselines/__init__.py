"""Simple rivals that a deep matcher has to beat before it is published."""

from __future__ import annotations

from vizsla.registry import Registry

__all__ = ["BASELINES"]

BASELINES = Registry(
    "baseline",
    {
        "popularity": "training.baselines.popularity:Popularity",
        "random": "training.baselines.random:Random",
        "cooccurrence": "training.baselines.cooccurrence:Cooccurrence",
        "item_knn": "training.baselines.item_knn:ItemKnn",
        "ease": "training.baselines.ease:Ease",
    },
)
"""Name to a class with the methods of ``training.baselines.base.Baseline``."""
