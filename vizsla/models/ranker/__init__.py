"""CTR models: packed embedding tables of any width per field, and a backbone on top of them."""

from __future__ import annotations

from vizsla.models.ranker.base import Backbone, Ranker
from vizsla.models.ranker.embeddings import Embedded, FieldEmbeddings, Sequence
from vizsla.models.ranker.inputs import FieldInputs, to_inputs
from vizsla.registry import Registry

__all__ = [
    "RANKERS",
    "Backbone",
    "Embedded",
    "FieldEmbeddings",
    "FieldInputs",
    "Ranker",
    "Sequence",
    "to_inputs",
]

RANKERS = Registry(
    "ranker",
    {
        "dnn": "vizsla.models.ranker.dnn:Dnn",
    },
)
"""Backbones by name; a new one is a file and one line here."""
