"""The one interface of all negative samplers.

Shapes: **P** positives of a batch, **S** negatives, **C** candidates, **U** users, **N** items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from training.data import Ragged, Split
from training.losses.logq import LogQ
from training.seen_items import SeenItems

__all__ = [
    "Factors",
    "Negatives",
    "SampleRequest",
    "Sampler",
    "SamplerData",
    "SamplerSettings",
    "ScoreFn",
]

ScoreFn = Callable[[Tensor], Tensor]
"""Scores items for the P positives' users: ``(S,)`` shared or ``(P, S)`` own items to ``(P, S)``."""


class SamplerSettings(BaseModel):
    """Base of every sampler's own settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class SamplerData:
    """What samplers know about the training data.

    Attributes:
        train: U rows of item numbers.
        seen: The same rows, ready for lookups.
        item_counts: ``(N,)`` int64 training interactions of each item.
        seed: For choices made once when a sampler is built, such as a prior's held-out pairs.
        user_codes: User feature to its ``(U,)`` int64 codes, 0 = unknown.
        hidden: Held-out positives, for analysis alone: a sampler that reads them cheats.
    """

    train: Ragged
    seen: SeenItems
    item_counts: Tensor
    seed: int = 0
    user_codes: Mapping[str, Tensor] = field(default_factory=dict)
    hidden: SeenItems | None = None

    @classmethod
    def from_split(cls, split: Split, seed: int = 0) -> SamplerData:
        """Read the training part of a split."""
        counts = torch.from_numpy(split.item_counts())
        seen = SeenItems(split.train, split.n_items)
        return cls(split.train, seen, counts, seed, _user_codes(split))

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.item_counts)

    @property
    def n_users(self) -> int:
        """Number of users U."""
        return len(self.train)


def _user_codes(split: Split) -> dict[str, Tensor]:
    features = split.user_features
    if features is None:
        return {}
    return dict(zip(features.names, torch.from_numpy(features.codes).unbind(1), strict=True))


@dataclass(frozen=True, slots=True)
class Factors:
    """A score that is a dot product, taken apart; computed when asked for, without gradients.

    Attributes:
        users: Returns ``(P, D)`` float32 vectors of the positives' users.
        items: Returns ``(N, D)`` float32 vectors of all items.
    """

    users: Callable[[], Tensor]
    items: Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """The positives of one batch.

    Attributes:
        users: ``(P,)`` int64, row of the user in the training data.
        positives: ``(P,)`` int64 item numbers.
        score: Scores items for these users, without gradients; only hard samplers call it.
        epoch: Finished epochs, for samplers that change as training goes on.
        factors: Of a score that is a dot product; None for any other.
    """

    users: Tensor
    positives: Tensor
    score: ScoreFn
    epoch: int = 0
    factors: Factors | None = None


@dataclass(frozen=True, slots=True)
class Negatives:
    """Items to push down.

    Attributes:
        item_nums: ``(S,)`` int64 shared by all positives, or ``(P, S)`` int64.
        log_q: Like ``item_nums``, float32: log probability of one draw.
        weight: ``(P, S)`` float32, at least 0; 0 = no negative (an accidental hit, an item
            the user has, or nothing left to draw).  A place of weight above 0 never holds
            an item of that user.
        stats: What the draw was like, averaged over the batch: ``masked_ratio``, and for
            hard samplers ``info`` and ``unbias``.
    """

    item_nums: Tensor
    log_q: Tensor
    weight: Tensor
    stats: dict[str, float] = field(default_factory=dict)

    def first(self, count: int) -> Negatives:
        """Return the first ``count`` negatives of every positive."""
        return Negatives(
            self.item_nums[..., :count], self.log_q[..., :count], self.weight[:, :count], self.stats
        )


class Sampler(ABC):
    """Draws negatives for a batch of positives; all randomness comes from one generator.

    Args:
        data: The training data.
        settings: An instance of the class's ``Settings``.
        generator: Source of randomness.

    Attributes:
        is_shared: Whether all positives get the same items.  Then the request's ``users`` may
            be fewer than its positives: one per context.
        remembers: Whether draws depend on earlier ones by more than the generator.  Shards of
            a batch that several workers draw for would each remember something else.
    """

    Settings: ClassVar[type[SamplerSettings]] = SamplerSettings
    is_shared: bool = False
    remembers: ClassVar[bool] = False

    def __init__(
        self, data: SamplerData, settings: SamplerSettings, generator: torch.Generator
    ) -> None:
        self.data = data
        self.generator = generator

    @classmethod
    def logq_modes(cls, settings: SamplerSettings) -> tuple[LogQ, ...]:
        """Return the corrections that make sense: those by probabilities that are known."""
        return ("off", "negatives", "all")

    def state(self) -> dict[str, Tensor]:
        """Return all that changes while sampling, for a checkpoint."""
        return {"generator": self.generator.get_state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an earlier ``state``."""
        self.generator.set_state(state["generator"])

    @abstractmethod
    def sample(self, request: SampleRequest, n_negatives: int) -> Negatives:
        """Draw ``n_negatives`` items, shared by the batch or for each positive."""

    @abstractmethod
    def log_q(self, item_nums: Tensor) -> Tensor:
        """Return the log probability of one draw of items of any shape, float32."""

    def shared(self, request: SampleRequest, item_nums: Tensor) -> Negatives:
        """Make shared negatives, masked where a user has the item (the positive is one of them)."""
        hits = self.data.seen.contains_shared(request.users, item_nums)
        masked_ratio = float(hits.float().mean()) if hits.numel() else 0.0
        stats = {"masked_ratio": masked_ratio}
        return Negatives(item_nums, self.log_q(item_nums), (~hits).float(), stats)
