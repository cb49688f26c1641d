"""Training losses: one file per loss, one line here; the adversarial task adds to any of them."""

from __future__ import annotations

from vizsla.registry import Registry

__all__ = ["LOSSES"]

LOSSES = Registry(
    "loss",
    {
        "sampled-softmax": "training.losses.sampled_softmax:sampled_softmax",
        "bpr": "training.losses.bpr:bpr",
    },
)
