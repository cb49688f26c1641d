"""A click model with known answers: which fields matter, and how many dimensions each needs.

Every informative field has a table of latent vectors, whose ``d`` columns have mean 0, variance 1
and no correlation over the rows.  Every column meets one column of another field: the logit is a
sum of such products, all of one strength, and of weaker main effects.  Seen from one field it is
``sum_i v_i(x) u_i(others)`` with uncorrelated ``u_i`` of one variance, so each of the d columns
counts the same, and a table of rank ``k < d`` loses ``(d - k) / d`` of what the field brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import UsageError
from vizsla.rng import numpy_generator

__all__ = ["Informative", "Product", "Truth", "plant", "probability", "shares_of"]

MAIN_SHARE = 0.2
"""Of the logit's variance, that of the main effects; the rest is of products."""


@dataclass(frozen=True, slots=True)
class Informative:
    """A field that the label depends on.

    Attributes:
        name: Its name.
        n_values: Its values are 0 to n_values - 1, frequent ones first.
        dim: Columns of its latent table.
    """

    name: str
    n_values: int
    dim: int


@dataclass(frozen=True, slots=True)
class Product:
    """A column of one field times a column of another."""

    left: str
    left_column: int
    right: str
    right_column: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What the label depends on.

    Attributes:
        latents: Field to ``(d, n)`` float32 columns.
        mains: Field to ``(n,)`` float32 main effects, a direction of its own latents.
        products: Which columns meet.
        scale: Of every product.
        bias: Added to every logit.
    """

    latents: Mapping[str, NDArray[np.float32]]
    mains: Mapping[str, NDArray[np.float32]]
    products: tuple[Product, ...]
    scale: float
    bias: float = 0.0

    def logits(self, values: Mapping[str, NDArray[np.uint32]]) -> NDArray[np.float32]:
        """Return ``(B,)`` log-odds of a positive label, given ``(B,)`` values of each field."""
        first = next(iter(self.mains))
        total = np.full(len(values[first]), self.bias, np.float32)
        for name, main in self.mains.items():
            total += main[values[name]]
        for one in self.products:
            left = self.latents[one.left][one.left_column][values[one.left]]
            right = self.latents[one.right][one.right_column][values[one.right]]
            total += np.float32(self.scale) * left * right
        return total


def plant(fields: list[Informative], strength: float, seed: int) -> Truth:
    """Draw the latent tables and decide which columns meet.

    Args:
        fields: At least two.
        strength: Standard deviation of the logit over the rows.
        seed: Of every draw.

    Raises:
        UsageError: One field has more dimensions than all others have together, or as many as
            it has values.
    """
    widest = max(fields, key=lambda one: one.dim)
    if 2 * widest.dim > sum(one.dim for one in fields) + 1:
        raise UsageError(f"{widest.name}: more dimensions than all other fields have together")
    latents = {one.name: _latents(one, seed) for one in fields}
    products = _products(fields, seed)
    main_scale = strength * np.sqrt(MAIN_SHARE / len(fields))
    mains = {
        one.name: (main_scale * _direction(one, seed) @ latents[one.name]).astype(np.float32)
        for one in fields
    }
    scale = strength * np.sqrt((1 - MAIN_SHARE) / len(products))
    return Truth(latents, mains, products, float(scale))


def shares_of(n_values: int) -> NDArray[np.float64]:
    """Return ``(n,)`` how often each value occurs: about as ``1 / (1 + rank)``, summing to 1.

    The floor of a log-uniform number, so that it is drawn by one exponential.
    """
    edges = np.log(np.arange(1, n_values + 2))
    shares: NDArray[np.float64] = np.diff(edges) / edges[-1]
    return shares


def _latents(one: Informative, seed: int) -> NDArray[np.float32]:
    """Draw ``(d, n)`` columns, then make them uncorrelated under the shares of the values."""
    if one.n_values <= one.dim:
        raise UsageError(f"{one.name}: {one.n_values} values cannot have {one.dim} dimensions")
    drawn = numpy_generator(seed, "latents", one.name).standard_normal((one.dim, one.n_values))
    shares = shares_of(one.n_values)
    centred = drawn - (drawn @ shares)[:, None]
    factor = np.linalg.cholesky((centred * shares) @ centred.T)
    return np.linalg.solve(factor, centred).astype(np.float32)


def _direction(one: Informative, seed: int) -> NDArray[np.float64]:
    """Return a random ``(d,)`` vector of length 1."""
    drawn = numpy_generator(seed, "main", one.name).standard_normal(one.dim)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float64)


def _products(fields: list[Informative], seed: int) -> tuple[Product, ...]:
    """Match every column with one of another field: those with most columns left come first."""
    rng = numpy_generator(seed, "products")
    left = {one.name: one.dim for one in fields}
    found: list[Product] = []
    while sum(left.values()) > 1:
        names = sorted(left, key=lambda name: (-left[name], rng.random()))
        one, other = names[0], names[1]
        left[one] -= 1
        left[other] -= 1
        found.append(Product(one, left[one], other, left[other]))
    if sum(left.values()):
        found.append(_last(fields, left, found))
    return tuple(found)


def _last(fields: list[Informative], left: dict[str, int], found: list[Product]) -> Product:
    """Match the last column of an odd number with one that no column of its field meets yet."""
    name = max(left, key=lambda one: left[one])
    met = {(p.left, p.left_column) for p in found if p.right == name}
    met |= {(p.right, p.right_column) for p in found if p.left == name}
    others = ((one.name, c) for one in fields if one.name != name for c in range(one.dim))
    free = next((pair for pair in others if pair not in met), None)
    if free is None:
        raise UsageError(f"{name}: too many dimensions for so few other fields")
    return Product(name, 0, *free)


def probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds."""
    chances: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return chances
