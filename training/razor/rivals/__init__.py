"""Other ways to size the fields of a ranker, each within the same budget of parameters.

A rival is a function from a ``RivalTask`` to a ``RankingSchema``.  One that also cuts values says
which it keeps in the schema; see ``values``.
"""

from __future__ import annotations

from training.razor.rivals.task import RivalTask
from vizsla.registry import Registry

__all__ = ["RIVALS", "RivalTask"]

RIVALS = Registry(
    "rival",
    {
        "full": "training.razor.rivals.plain:full",
        "uniform": "training.razor.rivals.plain:uniform",
        "random": "training.razor.rivals.plain:random_columns",
        "power_law": "training.razor.rivals.plain:power_law",
        "magnitude": "training.razor.rivals.trained:magnitude",
        "permutation": "training.razor.rivals.trained:permutation",
        "autofield": "training.razor.rivals.supernets:autofield",
        "autodim": "training.razor.rivals.supernets:autodim",
        "optembed": "training.razor.rivals.evolution:optembed",
    },
)
"""Rivals by name; a new one is a function and one line here."""
