"""Neural modules and their configurations; no data access and no I/O."""

from __future__ import annotations

from vizsla.registry import Registry

__all__ = ["BACKBONES", "MODELS"]

MODELS = Registry(
    "model",
    {
        "nann": "vizsla.models.recommender.nann:Nann",
        "mixture_of_logits": "vizsla.models.recommender.mixture_of_logits:MixtureOfLogits",
        "no_attention": "vizsla.models.recommender.ablations:NoAttention",
        "two_sided": "vizsla.models.recommender.two_sided:TwoSided",
    },
)
"""Matchers by name; a new one is a file and one line here."""

BACKBONES = Registry(
    "backbone",
    {
        "mf": "vizsla.models.recommender.mf:MatrixFactorisation",
        "lightgcn": "vizsla.models.recommender.lightgcn:LightGcn",
    },
)
"""Models of collaborative filtering that samplers and losses are compared on."""
