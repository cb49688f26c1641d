"""Mixture of logits: several small dot products per pair, weighed by a learned gate.

``s_u(e_v) = u . e_v / temperature + w sum_ij gate_ij(u, e_v) (u_i . v_j)``: with more than
one component on either side the score is no longer a dot product, yet it needs no
history.  Starts at the two-sided model (``w = 0``).  Shapes as in ``base``; **I**
components a side, **E** size of a component.

References:
    Zhai et al., "Revisiting Neural Retrieval on Accelerators", KDD 2023 (MoL).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from vizsla.models.recommender.base import UserState
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.layers import mlp
from vizsla.models.recommender.two_sided import TwoSided

__all__ = ["MixtureConfig", "MixtureOfLogits"]

Size = Annotated[int, Field(ge=1)]


class MixtureConfig(NannConfig):
    """``NannConfig`` plus the mixture's sizes; those of attention and score net are not used.

    Attributes:
        n_components: Components of a user and of an item, I.
        component_size: Size of a component, E.
        gate_hidden: Width of the three gate nets.
    """

    n_components: Size = 4
    component_size: Size = 32
    gate_hidden: Size = 32


class MixtureOfLogits(TwoSided):
    """A two-sided head plus a gated mixture of component dot products.

    Args:
        config: Sizes and options.

    Example:
        >>> from vizsla.models.recommender.base import SequenceBatch
        >>> matcher = MixtureOfLogits(MixtureConfig(n_items=5, embedding_size=8))
        >>> state = matcher.final_states(SequenceBatch(torch.tensor([[0, 1, 2]])))
        >>> matcher.scores(state, matcher.item_vectors()).shape
        torch.Size([1, 5])
    """

    Config: ClassVar[type[NannConfig]] = MixtureConfig

    def __init__(self, config: MixtureConfig) -> None:
        super().__init__(config)
        size, n_logits = config.embedding_size, config.n_components**2
        self.n_components = config.n_components
        self.user_parts = nn.Linear(size, config.n_components * config.component_size)
        self.item_parts = nn.Linear(size, config.n_components * config.component_size)
        self.user_gate = mlp(size, config.gate_hidden, n_logits)
        self.item_gate = mlp(size, config.gate_hidden, n_logits)
        self.pair_gate = mlp(n_logits, config.gate_hidden, n_logits, zero=True)
        self.weight = nn.Parameter(torch.zeros(()))

    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return the deep scores; see ``Matcher``."""
        each = vectors.expand(len(state.user), -1, -1)
        return self.batch_scores(state, self.tables_of(each))

    def batch_scores(self, state: UserState, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(P, C)`` scores of table rows; see ``Matcher``."""
        user = self._components(self.user_parts(state.user))[:, None]
        mixed = self._mixed(user, self.user_gate(state.user)[:, None], *tables[1:])
        return self.two_sided_scores(state, tables[0]) + mixed

    def tables_of(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Return ``e_v``, components and gate inputs of items."""
        return vectors, self._components(self.item_parts(vectors)), self.item_gate(vectors)

    def fold(self, state: UserState, row: int) -> Any:
        """Fold one user into proxy, components and gate input."""
        user = state.user[row]
        return self.proxy(state)[row], self._components(self.user_parts(user)), self.user_gate(user)

    def folded_scores(self, folded: Any, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(C,)`` scores of gathered table rows; equal to ``scores``."""
        proxy, components, gate = folded
        return torch.mv(tables[0], proxy) + self._mixed(components, gate, *tables[1:])

    def _components(self, parts: Tensor) -> Tensor:
        """Cut ``(..., I * E)`` into ``(..., I, E)`` unit vectors."""
        return functional.normalize(parts.view(*parts.shape[:-1], self.n_components, -1), dim=-1)

    def _mixed(self, user: Tensor, user_gate: Tensor, items: Tensor, item_gate: Tensor) -> Tensor:
        logits = (items @ user.transpose(-1, -2)).flatten(-2)
        gate = torch.softmax(user_gate + item_gate + self.pair_gate(logits), dim=-1)
        mixed: Tensor = self.weight * (gate * logits).sum(-1) / self.log_temperature.exp()
        return mixed
