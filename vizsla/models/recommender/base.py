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
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor, nn

from vizsla.contracts.tables import ItemTables
from vizsla.errors import IncompatibleArtifactError
from vizsla.models.recommender.layers import initialise

__all__ = ["PADDING", "CompiledScore", "Matcher", "SequenceBatch", "UserState"]

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


class CompiledScore(Protocol):
    """A matcher's score of several users' candidates in one compiled call."""

    def fold(self, state: UserState) -> Any:
        """Fold all users of a state."""
        ...

    def score(
        self,
        users: Any,
        tables: ItemTables,
        query_of: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return what ``Matcher.folded_scores`` would; arguments as in ``Scorer.score``."""
        ...


class Matcher(nn.Module, ABC):
    """A deep matching function ``s_u(e_v)`` with a dot product as its two-sided head.

    Attributes:
        config: What it was built with.
    """

    config: BaseModel

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

    @property
    @abstractmethod
    def max_history(self) -> int:
        """Longest context in items; callers cut longer histories to their last ones."""

    @property
    @abstractmethod
    def n_user_features(self) -> int:
        """Number of user columns F that the matcher reads; 0 for none."""

    def two_sided_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return states good enough for the two-sided head; override where that is cheaper."""
        return self.target_states(batch, rows, columns)

    def item_tables(self) -> tuple[Tensor, ...]:
        """Return tensors with one row per item: item vectors first, then what serving precomputes."""
        return self.tables_of(self.item_vectors())

    def tables_of(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of ``item_tables`` that items with vectors ``(C, D)`` have."""
        return (vectors,)

    def with_fixed_items(self, vectors: Tensor, known_as: Tensor) -> Matcher:
        """Return a matcher over other items that shares every weight with this one.

        Args:
            vectors: ``(R, D)`` their vectors, taken as they are.
            known_as: ``(R,)`` int64 which item of this matcher each is, -1 for none: what
                else is stored of an item goes with it.

        Raises:
            IncompatibleArtifactError: This kind of matcher cannot.
        """
        raise IncompatibleArtifactError(
            f"a {type(self).__name__} cannot take items that it was not trained on"
        )

    def vectors_of_columns(
        self, codes: NDArray[np.int64], weights: NDArray[np.float32], item_nums: NDArray[np.int64]
    ) -> Tensor:
        """Return ``(R, D)`` vectors of items with given columns, which need not be known.

        Args:
            codes: ``(R, W)`` packed, see ``features.pack_features``.
            weights: ``(R, W)``.
            item_nums: ``(R,)`` which item of this matcher each is, -1 for none.

        Raises:
            IncompatibleArtifactError: This kind of matcher reads no columns.
        """
        raise IncompatibleArtifactError(f"a {type(self).__name__} reads no columns of items")

    def forget_items(self, item_nums: Tensor) -> None:
        """Clear, in place, what is stored of items beside their vectors: others come there."""

    def fold(self, state: UserState, row: int) -> Any:
        """Fold one user's side of the score; by default, that user's state."""
        part = slice(row, row + 1)
        return UserState(state.user[part], state.values[part], state.keys[part], state.mask[part])

    def folded_scores(self, folded: Any, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(C,)`` scores of C rows gathered from ``item_tables``; equal to ``scores``."""
        return self.scores(folded, tables[0])[0]

    def batch_scores(self, state: UserState, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(P, C)`` scores of rows gathered from ``item_tables``, C rows per user.

        Equal to ``folded_scores`` of each user up to rounding.

        Args:
            state: Of P users.
            tables: ``(P, C, ...)`` each.
        """
        return self.scores(state, tables[0])

    def compiled(self) -> CompiledScore | None:
        """Return a compiled form of the score, with the weights as they are now; None without one."""
        return None

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all initial weights from one generator."""
        initialise(self, generator)

    def parameter_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @torch.no_grad()
    def all_item_vectors(self) -> Tensor:
        """Return ``(N, D)`` vectors of all items without gradients."""
        return self.item_vectors()
