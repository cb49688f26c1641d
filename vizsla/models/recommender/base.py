"""What every matcher offers to the training loop, whatever its inside.

A matcher scores an item ``v`` for a user ``u`` as ``s_u(e_v)``: ``e_v`` is the output
of the item net, everything else is the user's side (Chen et al., CIKM 2022, 3.1).
The user's side is made from a *context*: the items of one row of a
``SequenceBatch`` without the target itself (only the earlier ones where the data
has an order, all the others where it has none), so one pass over a user's
sequence trains on many targets.

Shapes: **B** sequences, **L** length, **P** positions (targets), **C** candidates,
**D** vector size, **F** user features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["PADDING", "Matcher", "SequenceBatch", "UserState"]

PADDING = -1
"""Item number of an empty place in a sequence."""


@dataclass(frozen=True, slots=True)
class SequenceBatch:
    """Behaviour sequences of B users.

    Attributes:
        item_nums: ``(B, L)`` int64, oldest first, left-padded with ``PADDING``.
        user_features: ``(B, F)`` int64 codes, 0 = unknown; None where there are none.
    """

    item_nums: Tensor
    user_features: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """``(B, L)`` bool, True where there is an item."""
        return self.item_nums != PADDING


@dataclass(frozen=True, slots=True)
class UserState:
    """Everything about P users or positions that does not depend on the candidate.

    Attributes:
        user: ``(P, D)`` output of the user net, the two-sided head's user vector.
        values: ``(P, L, D)`` vectors of the context's items.
        keys: ``(P, L, A)`` attention keys.
        mask: ``(P, L)`` bool, True where the context has an item.
    """

    user: Tensor
    values: Tensor
    keys: Tensor
    mask: Tensor


class Matcher(nn.Module, ABC):
    """A deep matching function ``s_u(e_v)`` with a dot product as its two-sided head."""

    @abstractmethod
    def item_vectors(self, item_nums: Tensor | None = None) -> Tensor:
        """Return ``e_v``, the output of the item net: ``(C, D)``, or ``(N, D)`` for all items."""

    @abstractmethod
    def target_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return the states of P targets ``(rows[p], columns[p])``, each seen from its context.

        Args:
            batch: The sequences, targets included.
            rows: ``(P,)`` int64 in [0, B).
            columns: ``(P,)`` int64 in [0, L); the target's own item is never in its context.
        """

    @abstractmethod
    def final_states(self, batch: SequenceBatch) -> UserState:
        """Return the states of B users after their whole sequence, as serving sees them."""

    @abstractmethod
    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return ``(P, C)`` scores of candidates with vectors ``(C, D)`` shared or ``(P, C, D)``."""

    @abstractmethod
    def two_sided_scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return ``(P, C)`` scores of the two-sided head alone: ``proxy(state) @ vectors``."""

    @abstractmethod
    def proxy(self, state: UserState) -> Tensor:
        """Return ``(P, D)``: the vector whose dot product with ``e_v`` is the two-sided score."""

    def parameter_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @torch.no_grad()
    def all_item_vectors(self) -> Tensor:
        """Return ``(N, D)`` vectors of all items without gradients."""
        return self.item_vectors()
