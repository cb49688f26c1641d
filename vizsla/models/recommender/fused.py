"""``Nann``'s score through the compiled kernels: folds users into the form that they read.

Shapes as in ``fused_kernels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.blas import one_blas_thread
from vizsla.contracts.tables import ItemTables
from vizsla.models.recommender.base import UserState

if TYPE_CHECKING:
    from vizsla.models.recommender.nann import Nann

__all__ = ["FusedNann", "FusedUsers"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FusedUsers:
    """B users as ``deep_scores`` takes them, see there."""

    lengths: NDArray[np.int64]
    values: Floats
    keys: Floats
    plain: Floats
    starts: NDArray[np.int64]
    parts: Floats
    weights: Floats

    def arrays(self) -> tuple[NDArray[np.int64] | Floats, ...]:
        """Return the arrays in the kernel's order."""
        own = (self.lengths, self.values, self.keys, self.plain)
        return (*own, self.starts, self.parts, self.weights)


class FusedNann:
    """The same scores as ``Nann.folded_scores``, several users in one call.

    Sets BLAS to one thread for the whole process, see ``one_blas_thread``.

    Args:
        matcher: Its weights are copied.
    """

    def __init__(self, matcher: Nann) -> None:
        one_blas_thread()
        net, attention = matcher.score_net, matcher.attention
        self._ordered, self._scale = attention.ordered, np.float32(attention.scale)
        self._user = (_array(net.user.weight), _array(net.user.bias))
        self._product = np.ascontiguousarray(_array(net.product.weight).T)
        self._match = np.ascontiguousarray(_array(net.match.weight).T)
        layers = [array for layer in net.hidden for array in _flat(layer)]
        self._temperature = np.float32(matcher.log_temperature.exp().item())
        self._net = (
            _array(net.norm.weight),
            _array(net.norm.bias),
            np.array(matcher.config.score_hidden, np.int64),
            np.concatenate([np.empty(0, np.float32), *layers]),
            np.concatenate([_array(net.out.weight).ravel(), _array(net.out.bias)]),
            _array(net.direct.weight).ravel(),
            np.float32(net.scale),
            self._temperature,
        )

    def fold(self, state: UserState) -> FusedUsers:
        """Fold the users of a state."""
        user, mask = _array(state.user), np.asarray(state.mask.cpu().numpy(), np.bool_)
        values, keys = _array(state.values), _array(state.keys) * self._scale
        lengths = mask.sum(axis=1)
        size, asked = values.shape[2], keys.shape[2]
        per_user = [size * (lengths + 3), asked * (lengths + 2), size * lengths]
        starts = np.stack([np.cumsum(part) - part for part in per_user], axis=1)
        flat = [np.empty(int(part.sum()), np.float32) for part in per_user]
        for row, kept in enumerate(mask):
            own = values[row][kept], keys[row][kept]
            self._write(
                own, user[row], [part[at:] for part, at in zip(flat, starts[row], strict=True)]
            )
        weight, bias = self._user
        first = np.empty((len(user), size + len(self._match), weight.shape[0]), np.float32)
        np.multiply(self._product, user[:, :, None], out=first[:, :size])
        first[:, size:] = self._match
        values, keys, plain = flat
        return FusedUsers(lengths, values, keys, plain, starts, user @ weight.T + bias, first)

    def score(
        self,
        users: FusedUsers,
        tables: ItemTables,
        query_of: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> Floats:
        """Score a ragged batch; see ``Scorer.score``."""
        from vizsla.models.recommender.fused_kernels import deep_scores

        out = np.empty(len(rows), np.float32)
        bounds = np.searchsorted(query_of, np.arange(len(users.lengths) + 1))
        deep_scores(tables.arrays, tables.scales, rows, bounds, users.arrays(), self._net, out)
        return out

    def _write(self, own: tuple[Floats, Floats], user: Floats, into: list[Floats]) -> None:
        """Write one user's matrices: history, pooled history, and the proxy behind the values."""
        values, keys = own
        length, size, asked = len(values), values.shape[1], keys.shape[1]
        mean = np.full(length, 1 / max(length, 1), np.float32)
        last = np.zeros(length, np.float32)
        if length and self._ordered:
            last[-1] = 1
        wide = into[0][: size * (length + 3)].reshape(size, length + 3)
        wide[:, :length] = values.T
        wide[:, length] = mean @ values
        wide[:, length + 1] = last @ values
        wide[:, length + 2] = user / self._temperature
        keyed = into[1][: asked * (length + 2)].reshape(asked, length + 2)
        keyed[:, :length] = keys.T
        keyed[:, length] = mean @ keys
        keyed[:, length + 1] = last @ keys
        into[2][: length * size].reshape(length, size)[:] = values


def _flat(layer: torch.nn.Module) -> tuple[Floats, Floats]:
    """Return weight ``(in, out)`` and bias of a linear layer, flat."""
    assert isinstance(layer, torch.nn.Linear)
    return _array(layer.weight).T.ravel(), _array(layer.bias)


def _array(tensor: torch.Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
