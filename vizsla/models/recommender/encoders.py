"""User nets: from a sequence of item vectors to one vector per target.

Both encoders answer for many targets of a sequence in one pass and never let a
target see itself.  Shapes: **B** sequences, **L** length, **P** targets, **D** size.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.layers import ZeroLinear, mlp

__all__ = ["Encoder", "PoolEncoder", "TransformerEncoder", "build_encoder"]


class Encoder(Protocol):
    """A user net before normalisation and user features."""

    def __call__(self, history: Tensor, mask: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return ``(P, D)`` from ``history`` ``(B, L, D)``; column L means the whole sequence."""
        ...


def build_encoder(config: NannConfig) -> PoolEncoder | TransformerEncoder:
    """Build the encoder that the configuration names."""
    return PoolEncoder(config) if config.encoder == "pool" else TransformerEncoder(config)


class PoolEncoder(nn.Module):
    """A weighted mean of the context, plus a residual network that starts at zero.

    An item's weight depends on the item and, with an order, decays exponentially with
    age, so sums over "all before" or "all but one" come from one pass over the sequence.
    """

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.ordered = config.ordered
        self.importance = ZeroLinear(size, 1)
        self.decay = nn.Parameter(torch.tensor(0.1)) if config.ordered else None
        self.empty = nn.Parameter(torch.zeros(size))
        self.residual = mlp(size, 2 * size, size, zero=True)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, history: Tensor, mask: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return ``(P, D)``; see ``Encoder``."""
        weights = self._weights(history, mask)
        parts = torch.cat([self.dropout(history), torch.ones_like(history[..., :1])], -1)
        sums = self._context_sums(parts * weights[..., None], rows, columns)
        known = sums[:, -1:] > 0
        mean = sums[:, :-1] / sums[:, -1:].clamp(min=1e-30)
        pooled = torch.where(known, mean, self.empty)
        refined: Tensor = pooled + self.residual(pooled)
        return refined

    def _weights(self, history: Tensor, mask: Tensor) -> Tensor:
        # Bounded, so that "all minus one" in float32 does not cancel.
        logits = 3 * torch.tanh(self.importance(history).squeeze(-1) / 3)
        if self.decay is not None:
            age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
            logits = logits - self.decay.clamp(0, 0.5) * age
        return torch.exp(logits) * mask

    def _context_sums(self, parts: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        if self.ordered:
            return functional.pad(parts, (0, 0, 1, 0)).cumsum(1)[rows, columns]
        own = functional.pad(parts, (0, 0, 0, 1))  # column L: no target to leave out
        return parts.sum(1)[rows] - own[rows, columns]


class TransformerEncoder(nn.Module):
    """A causal pre-norm transformer; a target reads the output one place before it."""

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.scale = size**0.5
        self.empty = nn.Parameter(torch.zeros(size))
        self.places = (
            nn.Embedding(config.max_history, size) if config.positions == "absolute" else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.n_layers))

    def forward(self, history: Tensor, mask: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return ``(P, D)``; see ``Encoder``."""
        x = self.dropout(history * self.scale + self._positions(mask)) * mask[..., None]
        allowed = _causal(mask)
        for block in self.blocks:
            x = block(x, allowed)
        before = (columns - 1).clamp(min=0)
        known = mask[rows, before] & (columns > 0)
        return torch.where(known[:, None], x[rows, before], self.empty)

    def _positions(self, mask: Tensor) -> Tensor:
        if self.places is None:
            return torch.zeros((), device=mask.device)
        places = (mask.cumsum(1) - 1).clamp(0, self.places.num_embeddings - 1)
        embedded: Tensor = self.places(places)
        return embedded


class _Block(nn.Module):
    """Causal self-attention and a feed-forward network, both residual."""

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.n_heads = config.n_heads
        self.norm_attention, self.norm_forward = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), ZeroLinear(size, size)
        self.feed = mlp(size, 2 * size, size, zero=True)
        self.dropout = nn.Dropout(config.dropout)
        relative = config.positions == "relative"
        shape = (config.n_heads, config.max_history + 1)
        self.bias = nn.Parameter(torch.zeros(shape)) if relative else None

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        x = x + self.dropout(self._attend(self.norm_attention(x), allowed))
        refined: Tensor = x + self.dropout(self.feed(self.norm_forward(x)))
        return refined

    def _attend(self, x: Tensor, allowed: Tensor) -> Tensor:
        n_rows, length, size = x.shape
        split = self.qkv(x).view(n_rows, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mask = self._mask(allowed)
        mixed = functional.scaled_dot_product_attention(
            split[0], split[1], split[2], attn_mask=mask
        )
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(n_rows, length, size))
        return out

    def _mask(self, allowed: Tensor) -> Tensor:
        if self.bias is None:
            return allowed[:, None]
        places = torch.arange(allowed.shape[1], device=allowed.device)
        apart = (places[:, None] - places).clamp(0, self.bias.shape[1] - 1)
        return self.bias[:, apart].masked_fill(~allowed[:, None], float("-inf"))


def _causal(mask: Tensor) -> Tensor:
    """Return ``(B, L, L)``: who sees whom; every place sees itself, so no row is empty."""
    length = mask.shape[1]
    triangle = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=mask.device)
    return (triangle & mask[:, None]) | itself
