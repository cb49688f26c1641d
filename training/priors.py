"""How likely an unseen item is one that the user would like: priors of a false negative.

Shapes: **P** positives of a batch, **C** candidates, **U** users, **N** items.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from training.item_item import CalibratedItemItemPrior
from training.samplers.base import SamplerData
from vizsla.registry import Registry

__all__ = ["PRIORS", "CalibratedItemItemPrior", "FalseNegativePrior", "PopularityPrior"]

PRIORS = Registry(
    "prior",
    {
        "item_item": "training.item_item:CalibratedItemItemPrior",
        "popularity": "training.priors:PopularityPrior",
    },
)


class FalseNegativePrior(Protocol):
    """Probability, before seeing a score, that a user would like an unseen item."""

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(P, C)`` float32 in (0, 1) for ``(P,)`` users and ``(P, C)`` items."""
        ...


class PopularityPrior:
    """The paper's prior: the item's share of all interactions, the same for every user.

    It is tiny (0.0056 at most in MovieLens-100K), so it only vetoes candidates at the
    very top of a user's ranking.  Dividing by the number of users instead is harmful.

    Example:
        >>> import torch
        >>> from training.data import Ragged
        >>> from training.seen_items import SeenItems
        >>> train = Ragged.from_lists([[0, 1], [0]])
        >>> data = SamplerData(train, SeenItems(train, 3), torch.tensor([3, 1, 0]))
        >>> PopularityPrior(data)(torch.tensor([0]), torch.tensor([[0, 1]]))
        tensor([[0.7500, 0.2500]])
    """

    def __init__(self, data: SamplerData) -> None:
        share = data.item_counts.float() / data.item_counts.sum().clamp(min=1)
        self._share = share.clamp_(1e-8, 1.0 - 1e-4)

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Look the items up; ``users`` do not matter."""
        return self._share[item_nums]
