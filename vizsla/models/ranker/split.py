"""The form of a backbone whose user side and item side meet late, so that each is computed once.

::

    logit = bias + linear_u + linear_i + fm_u + fm_i + S_u . S_i + MLP(W_u x_u + W_i x_i + b)

Everything with one index is known before a request (items) or once per request (the user and
the context); per candidate there remain an addition, a dot product and the layers after the first.
Shapes: **C** candidates, **H** width of the first layer, **K** width of the factors, ``d_f``
columns of field f.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Layer", "SplitForm", "Wide", "last_hidden", "layers_of"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a perceptron; all but the last are followed by a ReLU.

    Attributes:
        weight: ``(out, in)``.
        bias: ``(out,)``.
        norm: Gain and shift of a layer normalisation before the ReLU, None without.
        epsilon: Of the normalisation.
    """

    weight: Floats
    bias: Floats
    norm: tuple[Floats, Floats] | None = None
    epsilon: float = 1e-5


@dataclass(frozen=True, slots=True)
class Wide:
    """Crossed features.

    Attributes:
        crosses: Fields of each, by name.
        weights: ``(crosses, buckets)``.
    """

    crosses: tuple[tuple[str, ...], ...]
    weights: Floats


@dataclass(frozen=True, slots=True)
class SplitForm:
    """What a backbone computes, where it is a sum of a linear part, an FM and a perceptron.

    Attributes:
        linear: Whether it reads the first-order weights.
        layers: Of the perceptron over all kept fields side by side, first to last with one
            output; empty for none.
        factors: Of the FM, field to the ``(K, d_f)`` map onto the common width; None for none.
        bias: Added to every logit.
        wide: Crossed features; None for none.
    """

    linear: bool = True
    layers: tuple[Layer, ...] = ()
    factors: Mapping[str, Floats] | None = None
    bias: float = 0.0
    wide: Wide | None = None

    @property
    def n_hidden(self) -> int:
        """H, 0 without a perceptron."""
        return len(self.layers[0].bias) if self.layers else 0

    @property
    def n_factors(self) -> int:
        """K, 0 without an FM."""
        return len(next(iter(self.factors.values()))) if self.factors else 0


def layers_of(perceptron: nn.Sequential) -> tuple[Layer, ...]:
    """Read the weights of ``Linear [LayerNorm] ReLU [Dropout] ... Linear``, as in inference.

    Raises:
        TypeError: It has another kind of layer.
    """
    layers: list[Layer] = []
    for part in perceptron:
        if isinstance(part, nn.Linear):
            layers.append(Layer(_array(part.weight), _array(part.bias)))
        elif isinstance(part, nn.LayerNorm):
            last = layers[-1]
            norm = (_array(part.weight), _array(part.bias))
            layers[-1] = Layer(last.weight, last.bias, norm, part.eps)
        elif not isinstance(part, nn.ReLU | nn.Dropout):
            raise TypeError(f"a perceptron with {type(part).__name__} cannot be split")
    return tuple(layers)


def last_hidden(layers: Sequence[Layer], hidden: Floats) -> Floats:
    """Return ``(C, D)`` what the last layer reads.

    Args:
        layers: At least two.
        hidden: ``(C, H)`` of the first layer, before normalisation and ReLU; overwritten.
    """
    for layer, following in pairwise(layers):
        if layer.norm is not None:
            _normalise(hidden, layer.norm, layer.epsilon)
        np.maximum(hidden, 0, out=hidden)
        if following is not layers[-1]:
            hidden = hidden @ following.weight.T
            hidden += following.bias
    return hidden


def _normalise(hidden: Floats, norm: tuple[Floats, Floats], epsilon: float) -> None:
    hidden -= hidden.mean(axis=1, keepdims=True)
    hidden /= np.sqrt(np.square(hidden).mean(axis=1, keepdims=True) + np.float32(epsilon))
    hidden *= norm[0]
    hidden += norm[1]


def _array(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
