"""The arms of ``vizsla bench training --preset bns``: who is compared, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from training.backbone_recipe import BackboneRecipe
from training.recipe import NegativeSettings

__all__ = ["ARMS", "DEFAULT_ARM", "FAMILY", "TABLES", "Arm", "Table"]

Engine = Literal["backbone", "reference", "baseline"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of the table.

    Attributes:
        sampler: Name in ``SAMPLERS``; of a reference, its rule; of a baseline, its name.
        options: Of the sampler.
        recipe: Settings of ``BackboneRecipe`` beside the negatives.
        n_negatives: Per positive.
        engine: ``backbone``: the product's loop; ``reference``: the released recipe, triple by
            triple; ``baseline``: counting.
        about: What it is, for the table's reader.
    """

    sampler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    n_negatives: int = 1
    engine: Engine = "backbone"
    about: str = ""

    def backbone_recipe(self, epochs: int, batch_size: int, every: int) -> BackboneRecipe:
        """Build the recipe of a run whose last epoch counts, whatever it is."""
        negatives = NegativeSettings(
            sampler=self.sampler, n_negatives=self.n_negatives, options=dict(self.options)
        )
        settings = {
            "epochs": epochs,
            "batch_size": batch_size,
            "validate_every": every,
            "metric": "epoch",
            **self.recipe,
        }
        return BackboneRecipe(negatives=negatives, **settings)


_OWN = {"shared": False}
_PAPER = {"prior": "popularity", "cdf": "exact", "weight": 5.0}
_CALIBRATED = {"prior": "item_item", "cdf": "sampled", "n_references": 64, "weight": 10.0}
_LIGHTGCN = {
    "model": "lightgcn",
    "optimizer": "adam",
    "learning_rate": 0.005,
    "schedule": "cosine",
    "reduction": "mean",
    "touched_reg": 1e-3,
}
_WIDE = {"model_settings": {"embedding_size": 64}}


def _candidates(n: int, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"candidates_per_negative": n, **options}


ARMS: Mapping[str, Arm] = {
    "rns": Arm("uniform", _OWN, about="uniform negatives"),
    "pns": Arm("popularity", {**_OWN, "alpha": 0.75}, about="popularity ** 0.75"),
    "aobpr": Arm("aobpr", about="adaptive oversampling"),
    "dns-5": Arm("dns", _candidates(5, {}), about="hardest of 5"),
    "dns-10-3": Arm("dns", _candidates(10, {"top": 3}), about="one of the hardest 3 of 10"),
    "srns": Arm("srns", about="hard with changing scores, from a memory"),
    "ahns": Arm("ahns", about="hardness falls as the positive rises (2024)"),
    "bns": Arm("bns", _candidates(5, _PAPER), about="the released rule: 5 candidates, lambda 5"),
    "bns-sampled": Arm(
        "bns",
        _candidates(5, {**_PAPER, "cdf": "sampled", "n_references": 64}),
        about="the released rule, F from 64 items",
    ),
    "bns-harmonic": Arm(
        "bns", _candidates(5, {**_PAPER, "combiner": "harmonic"}), about="harmonic mean combiner"
    ),
    "bns-constant": Arm(
        "bns",
        _candidates(5, {"prior": "constant", "constant": 0.5, "cdf": "exact", "weight": 5.0}),
        about="prior 1/2 for all pairs",
    ),
    "bns-occupation": Arm(
        "bns",
        _candidates(5, {**_PAPER, "prior": "group", "group": "occupation"}),
        about="popularity within the user's occupation",
    ),
    "bns-warm": Arm("bns", _candidates(5, {**_PAPER, "warmup_epochs": 5}), about="warm start"),
    "bns-decay": Arm(
        "bns",
        _candidates(5, {**_PAPER, "weight": 10.0, "weight_step": 0.1}),
        about="lambda = max(10 - 0.1 epoch, 0.1)",
    ),
    "bns-posterior": Arm(
        "bns", _candidates(5, {**_PAPER, "combiner": "posterior"}), about="safest candidate alone"
    ),
    "bnsc-10": Arm("bns", _candidates(10, _CALIBRATED), about="calibrated prior, 10 candidates"),
    "bnsc-20": Arm("bns", _candidates(20, _CALIBRATED), about="calibrated prior, 20 candidates"),
    "bnsc-reweight": Arm(
        "bns",
        _candidates(1, {**_CALIBRATED, "combiner": "reweight"}),
        n_negatives=5,
        about="posterior as weight of 5 uniform negatives",
    ),
    "bnsc-20-warm": Arm(
        "bns", _candidates(20, {**_CALIBRATED, "warmup_epochs": 5}), about="and a warm start"
    ),
    "bnsc-softmax": Arm(
        "bns",
        _candidates(20, _CALIBRATED),
        {"loss": "sampled-softmax"},
        n_negatives=4,
        about="4 of 80 candidates under the softmax loss",
    ),
    "rns-softmax": Arm(
        "uniform",
        _OWN,
        {"loss": "sampled-softmax"},
        n_negatives=4,
        about="4 uniform under the softmax loss",
    ),
    "oracle-5": Arm(
        "bns", _candidates(5, {**_PAPER, "prior": "oracle"}), about="knows the held-out positives"
    ),
    "oracle-sampled": Arm(
        "bns",
        _candidates(5, {**_PAPER, "cdf": "sampled", "n_references": 64, "prior": "oracle"}),
        about="knows the held-out positives, F from 64 items",
    ),
    "oracle-10": Arm(
        "bns", _candidates(10, {**_PAPER, "prior": "oracle"}), about="knows the held-out positives"
    ),
    "lightgcn-rns": Arm("uniform", _OWN, _LIGHTGCN, about="LightGCN, uniform"),
    "lightgcn-dns-5": Arm("dns", _candidates(5, {}), _LIGHTGCN, about="LightGCN, hardest of 5"),
    "lightgcn-bns": Arm("bns", _candidates(5, _PAPER), _LIGHTGCN, about="LightGCN, released rule"),
    "lightgcn-bnsc-20": Arm(
        "bns", _candidates(20, _CALIBRATED), _LIGHTGCN, about="LightGCN, calibrated prior"
    ),
    "lightgcn64-bnsc-20": Arm(
        "bns", _candidates(20, _CALIBRATED), {**_LIGHTGCN, **_WIDE}, about="and 64 dimensions"
    ),
    "mf64-bnsc-20": Arm("bns", _candidates(20, _CALIBRATED), _WIDE, about="64 dimensions"),
    "reference-rns": Arm("uniform", engine="reference", about="released recipe, triple by triple"),
    "reference-dns-5": Arm("dns", engine="reference", about="the same with the hardest of 5"),
    "reference-bns": Arm("bns", engine="reference", about="the same with the released rule"),
    "ease": Arm("ease", engine="baseline", about="linear, no sampling"),
    "popularity": Arm("popularity", engine="baseline", about="the same list for all"),
}
"""Name to arm."""

FAMILY = (
    "bns",
    "bns-harmonic",
    "bns-warm",
    "bns-decay",
    "bnsc-10",
    "bnsc-20",
    "bnsc-20-warm",
    "bnsc-reweight",
)
"""Variants of Bayesian sampling on the plain backbone, of which validation chooses the default."""

DEFAULT_ARM = "bnsc-20"
"""The variant that the sampler's own defaults make."""


@dataclass(frozen=True, slots=True)
class Table:
    """One dataset's part of the bench.

    Attributes:
        arms: Names of the arms that run on it.
        seeds: Seeds per arm; counting has one.
        epochs: Passes over the pairs.
        batch_size: Pairs per step.
        every: Epochs between looks at the figures.
    """

    arms: tuple[str, ...]
    seeds: int = 5
    epochs: int = 100
    batch_size: int = 2048
    every: int = 5


_SHORT = (
    "rns",
    "pns",
    "aobpr",
    "dns-5",
    "dns-10-3",
    "srns",
    "ahns",
    "bns",
    "bnsc-10",
    "bnsc-20",
    "oracle-5",
    "ease",
    "popularity",
)

TABLES: Mapping[str, Table] = {
    "ml-100k": Table(tuple(ARMS)),
    "yahoo-r3": Table((*_SHORT, "lightgcn-rns", "lightgcn-bnsc-20"), seeds=3),
    "yahoo-r3-random": Table(("rns", "dns-5", "bns", "bnsc-20", "oracle-5", "ease"), seeds=3),
    "ml-1m": Table(
        (
            "rns",
            "pns",
            "aobpr",
            "dns-5",
            "dns-10-3",
            "srns",
            "ahns",
            "bns-sampled",
            "bnsc-20",
            "oracle-sampled",
            "ease",
            "popularity",
        ),
        seeds=3,
        epochs=24,
        batch_size=4096,
        every=4,
    ),
}
"""Dataset to its part of the bench."""
