"""How likely an unseen item is one that the user would like: priors of a false negative.

Shapes: **P** positives of a batch, **C** candidates, **U** users, **N** items.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from training.item_item import CalibratedItemItemPrior
from training.samplers.base import SamplerData
from vizsla.errors import ConfigError
from vizsla.registry import Registry

__all__ = [
    "PRIORS",
    "CalibratedItemItemPrior",
    "ConstantPrior",
    "FalseNegativePrior",
    "GroupPopularityPrior",
    "OraclePrior",
    "PopularityPrior",
    "PriorSettings",
    "item_item_prior",
]

PRIORS = Registry(
    "prior",
    {
        "item_item": "training.priors:item_item_prior",
        "popularity": "training.priors:PopularityPrior",
        "group": "training.priors:GroupPopularityPrior",
        "constant": "training.priors:ConstantPrior",
        "oracle": "training.priors:OraclePrior",
    },
)


class PriorSettings(Protocol):
    """What a prior reads of its sampler's settings."""

    @property
    def group(self) -> str:
        """User feature."""
        ...

    @property
    def constant(self) -> float:
        """Probability in (0, 1)."""
        ...


def item_item_prior(data: SamplerData, settings: PriorSettings) -> CalibratedItemItemPrior:
    """Build the calibrated, personal prior, which has no settings."""
    return CalibratedItemItemPrior(data)


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
        >>> PopularityPrior(data, settings=None)(torch.tensor([0]), torch.tensor([[0, 1]]))
        tensor([[0.7500, 0.2500]])
    """

    def __init__(self, data: SamplerData, settings: PriorSettings) -> None:
        self._share = _shares(data.item_counts)

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Look the items up; ``users`` do not matter."""
        return self._share[item_nums]


class GroupPopularityPrior:
    """Popularity among the users of the same group: the paper's variant with side information.

    Users whose feature is unknown are a group of their own.

    Raises:
        ConfigError: The users have no such feature.
    """

    def __init__(self, data: SamplerData, settings: PriorSettings) -> None:
        if settings.group not in data.user_codes:
            known = ", ".join(sorted(data.user_codes)) or "none"
            raise ConfigError(f"prior group: no user feature {settings.group!r}: known: {known}")
        self._group_of = data.user_codes[settings.group]
        lengths = torch.from_numpy(data.train.lengths)
        groups = torch.repeat_interleave(self._group_of, lengths)
        n_groups = int(self._group_of.max()) + 1
        keys = groups * data.n_items + torch.from_numpy(data.train.values)
        counts = torch.bincount(keys, minlength=n_groups * data.n_items)
        self._share = _shares(counts.view(n_groups, data.n_items))

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Look the items up in the users' groups."""
        return self._share[self._group_of[users][:, None], item_nums]


class ConstantPrior:
    """The same for every pair; at 1/2 the posterior is ``1 - F``, what the score alone says."""

    def __init__(self, data: SamplerData, settings: PriorSettings) -> None:
        self._value = settings.constant

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return the constant."""
        return torch.full(item_nums.shape, self._value)


class OraclePrior:
    """Knows the held-out positives: what a perfect prior would give, for analysis alone.

    Raises:
        ConfigError: The data says nothing of held-out positives, as in any ordinary training.
    """

    def __init__(self, data: SamplerData, settings: PriorSettings) -> None:
        if data.hidden is None:
            raise ConfigError("prior oracle reads held-out positives: for analysis in benches only")
        self._hidden = data.hidden

    def __call__(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return 1 for held-out positives and 0 for all else."""
        return self._hidden.contains(users, item_nums).float()


def _shares(counts: Tensor) -> Tensor:
    """Return each item's share of its row's interactions, kept off 0 and 1."""
    share = counts.float() / counts.sum(dim=-1, keepdim=True).clamp(min=1)
    return share.clamp_(1e-8, 1.0 - 1e-4)
