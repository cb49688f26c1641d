"""What a sampler's negatives are worth: how many are true, and how much each teaches.

Shapes: **P** pairs of a batch, **S** negatives, **U** users, **N** items, **H** histogram bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from training.priors import FalseNegativePrior
from training.samplers.base import Negatives, SampleRequest
from training.samplers.bns import judge
from training.score_cdf import score_cdf
from training.seen_items import SeenItems
from vizsla.models.recommender.backbones import Backbone

__all__ = ["QualityMeter", "SamplingQuality", "Separation", "area_under_curve", "separation"]


@dataclass(frozen=True, slots=True)
class SamplingQuality:
    """The negatives of an epoch, each counted by its weight.

    Attributes:
        tnr: Share of true negatives among them: pairs that are no held-out positive.
        info: Mean informativeness ``1 - sigmoid(x_i - x_j)``, the size of the pairwise gradient.
        signed_info: Mean informativeness that counts against where the negative is false.
        sample_ms: Milliseconds of sampling per batch.
        certified_tnr: Share of certified dislikes among the negatives of which it is known
            whether they are liked; None where nothing is certified or none was drawn.
    """

    tnr: float
    info: float
    signed_info: float
    sample_ms: float
    certified_tnr: float | None = None

    def figures(self) -> dict[str, float]:
        """Return what is known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class QualityMeter:
    """Watches the draws of a backbone's training; ``take`` ends an epoch.

    Args:
        hidden: Held-out positives; a negative among them is false.
        certified: Certified dislikes.
    """

    def __init__(self, hidden: SeenItems, certified: SeenItems | None = None) -> None:
        self._hidden, self._certified = hidden, certified
        self._sums = torch.zeros(5, dtype=torch.float64)
        self._seconds, self._n_batches = 0.0, 0

    def __call__(self, request: SampleRequest, drawn: Negatives, seconds: float) -> None:
        """Count the negatives of a batch."""
        items = drawn.item_nums.expand(len(request.users), -1)
        weight = drawn.weight
        is_false = self._hidden.contains(request.users, items)
        positive = request.score(request.positives[:, None])
        info = torch.sigmoid(request.score(items) - positive) * weight
        signed = torch.where(is_false, -info, info)
        disliked = torch.zeros_like(weight)
        if self._certified is not None:
            disliked = self._certified.contains(request.users, items) * weight
        parts = (weight, is_false * weight, info, signed, disliked)
        self._sums += torch.stack([part.double().sum() for part in parts])
        self._seconds, self._n_batches = self._seconds + seconds, self._n_batches + 1

    def take(self) -> SamplingQuality:
        """Return the means since the last call, and begin again."""
        means = (self._sums / self._sums[0].clamp(min=1e-9)).tolist()
        n_used, n_false, info, signed, disliked = means
        judged = disliked + n_false if self._certified is not None else 0.0
        found = SamplingQuality(
            tnr=1.0 - n_false if n_used else 1.0,
            info=info,
            signed_info=signed,
            sample_ms=1000.0 * self._seconds / max(self._n_batches, 1),
            certified_tnr=disliked / judged if judged else None,
        )
        self._sums.zero_()
        self._seconds, self._n_batches = 0.0, 0
        return found


@dataclass(frozen=True, slots=True)
class Separation:
    """How true and false negatives differ over all unseen pairs.

    Attributes:
        edges: ``(H + 1,)`` float64 in [0, 1]: bins of a score's rank among the user's unseen items.
        true_density: ``(H,)`` float64 density of the rank of true negatives, mean 1.
        false_density: ``(H,)`` float64 density of that of false ones.
        order_ratio: Share of pairs of a true and a false negative, of any users, in which the
            false one has the higher rank.
        score_auc: Area under the curve of the raw score at spotting false negatives.
        unbias_auc: That of 1 minus the posterior of a prior.
        prior_auc: That of the prior alone.
    """

    edges: NDArray[np.float64]
    true_density: NDArray[np.float64]
    false_density: NDArray[np.float64]
    order_ratio: float
    score_auc: float
    unbias_auc: dict[str, float]
    prior_auc: dict[str, float]


def area_under_curve(values: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    """Return the chance that a hit has a higher value than a miss, ties counting half.

    Example:
        >>> area_under_curve(np.array([1.0, 2.0, 2.0]), np.array([False, True, False]))
        0.75
    """
    n_hits, n_misses = int(hits.sum()), int((~hits).sum())
    if not n_hits or not n_misses:
        return float("nan")
    ranks = rankdata(values)
    return float((ranks[hits].sum() - n_hits * (n_hits + 1) / 2) / (n_hits * n_misses))


@torch.no_grad()
def separation(
    model: Backbone,
    seen: SeenItems,
    hidden: SeenItems,
    priors: Mapping[str, FalseNegativePrior],
    *,
    users: Tensor,
    n_bins: int = 40,
) -> Separation:
    """Rank every unseen pair of some users, and see where the held-out positives are.

    Args:
        model: A backbone.
        seen: Training items of all users.
        hidden: Held-out positives.
        priors: Name to a prior of a false negative, for the posterior.
        users: ``(P,)`` int64: whose pairs.
        n_bins: H.
    """
    user_vectors, item_vectors = model.tables()
    scores = user_vectors[users] @ item_vectors.T
    items = torch.arange(len(item_vectors)).expand(len(users), -1)
    unseen = ~seen.contains(users, items)
    rank = score_cdf(scores, scores, unseen)
    false = hidden.contains(users, items)[unseen].numpy()
    ranks = rank[unseen].double().numpy()
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    known = {name: prior(users, items) for name, prior in priors.items()}
    unbias = {
        name: _posterior(rank, table)[unseen].double().numpy() for name, table in known.items()
    }
    return Separation(
        edges,
        np.histogram(ranks[~false], edges, density=True)[0],
        np.histogram(ranks[false], edges, density=True)[0],
        area_under_curve(ranks, false),
        area_under_curve(scores[unseen].double().numpy(), false),
        {name: area_under_curve(1.0 - values, false) for name, values in unbias.items()},
        {
            name: area_under_curve(table[unseen].double().numpy(), false)
            for name, table in known.items()
        },
    )


def _posterior(rank: Tensor, prior: Tensor) -> Tensor:
    zeros = torch.zeros_like(rank)
    return judge(zeros[:, 0], zeros, rank, prior).unbias
