"""The order relation behind Bayesian sampling, measured: do false negatives score higher?

Shapes: **H** histogram bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from training.backbone_trainer import BackboneTrainer
from training.bench.bns_arms import ARMS, Table
from training.bench.bns_data import study_data
from training.bench.form import Row
from training.item_item import CalibratedItemItemPrior
from training.priors import FalseNegativePrior, PopularityPrior
from training.samplers.base import SamplerData
from training.samplers.bns import BayesianSettings, judge
from training.sampling_quality import Separation, separation
from training.trainer import RunOptions
from vizsla.datasets import resolve
from vizsla.models.recommender.backbones import Backbone
from vizsla.rng import derive_seed, numpy_generator

__all__ = ["SeparationJob", "posterior_error"]

MAX_USERS = 1_000
"""Users whose unseen pairs are all ranked; more add nothing but time."""

LOOKS = 3


@dataclass(frozen=True, slots=True)
class SeparationJob:
    """Train one arm and look at all unseen pairs early, in the middle and at the end."""

    dataset: str
    arm: str
    table: Table
    home: Path

    def __call__(self) -> list[Row]:
        """Return one row per look."""
        data = study_data(self.dataset, lambda name: resolve(name, self.home))
        seed = derive_seed(0, self.dataset)
        known, hidden = SamplerData.from_split(data.full, seed), data.hidden(data.full)
        priors: dict[str, FalseNegativePrior] = {
            "popularity": PopularityPrior(known, BayesianSettings()),
            "item_item": CalibratedItemItemPrior(known),
        }
        every = max(1, self.table.epochs // LOOKS)
        users = torch.arange(len(data.full.users))[:MAX_USERS]
        rows: list[Row] = []

        def look(model: Backbone) -> dict[str, float]:
            found = separation(model, known.seen, hidden, priors, users=users)
            rows.append(self._row(every * (len(rows) + 1), found))
            return {"epoch": float(len(rows))}

        recipe = ARMS[self.arm].backbone_recipe(every * LOOKS, self.table.batch_size, every)
        with TemporaryDirectory() as folder:
            BackboneTrainer(recipe, data.full, RunOptions(Path(folder), seed=seed)).run(look)
        return rows

    def _row(self, epoch: int, found: Separation) -> Row:
        return {
            "kind": "separation",
            "dataset": self.dataset,
            "arm": self.arm,
            "epoch": epoch,
            "edges": np.round(found.edges, 4).tolist(),
            "true_density": np.round(found.true_density, 4).tolist(),
            "false_density": np.round(found.false_density, 4).tolist(),
            "order_ratio": round(found.order_ratio, 4),
            "score_auc": round(found.score_auc, 4),
            **{f"unbias_auc_{name}": round(auc, 4) for name, auc in found.unbias_auc.items()},
            **{f"prior_auc_{name}": round(auc, 4) for name, auc in found.prior_auc.items()},
        }


def posterior_error(n_draws: int = 2_000_000, n_bins: int = 20, seed: int = 0) -> float:
    """Compare the posterior with what it claims, by simulation.

    A pair is false with some prior probability; a true negative's rank is the smaller, a
    false one's the larger of two uniform draws.  In bins of rank and prior, the share of
    true ones is compared with the mean posterior.

    Returns:
        The largest difference over all bins.
    """
    generator = numpy_generator(seed, "posterior")
    worst = 0.0
    for prior in (0.01, 0.1, 0.3, 0.5, 0.9):
        draws = generator.random((n_draws, 2))
        is_false = generator.random(n_draws) < prior
        rank = np.where(is_false, draws.max(axis=1), draws.min(axis=1))
        claimed = _posterior(rank, prior)
        bins = np.minimum((rank * n_bins).astype(np.int64), n_bins - 1)
        counts = np.bincount(bins, minlength=n_bins)
        true = np.bincount(bins, ~is_false, n_bins) / counts
        mean = np.bincount(bins, claimed, n_bins) / counts
        worst = max(worst, float(np.abs(true - mean).max()))
    return worst


def _posterior(rank: np.ndarray, prior: float) -> np.ndarray:
    ranks = torch.from_numpy(rank)[None]
    zeros = torch.zeros_like(ranks)
    posterior: np.ndarray = (
        judge(zeros[:, 0], zeros, ranks, torch.full_like(ranks, prior)).unbias[0].numpy()
    )
    return posterior
