"""The released recipe of Bayesian negative sampling, one triple at a time, as compiled loops.

What the batched trainer is checked against: matrix factorisation by stochastic gradient
descent, pairs in one order for all epochs, five distinct candidates per pair, the distribution
function over all of the user's unseen items, the user's vector moved before the items' use it.

Shapes: **E** pairs, **U** users, **N** items, **D** factors, **M** candidates.

References:
    Liu and Wang, ICDE 2023, and the code released with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from training.data import Ragged
from vizsla.rng import numpy_generator

__all__ = ["ReferenceRule", "train_reference"]

ReferenceRule = Literal["uniform", "dns", "bns"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RULES: dict[ReferenceRule, int] = {"uniform": 0, "dns": 1, "bns": 2}

LEARNING_RATE = 0.01
REG = 0.01
N_CANDIDATES = 5
WEIGHT = 5.0


def train_reference(
    train: Ragged,
    n_items: int,
    rule: ReferenceRule,
    *,
    epochs: int = 100,
    embedding_size: int = 32,
    seed: int = 0,
    after_epoch: Callable[[int, Floats, Floats], None] | None = None,
) -> tuple[Floats, Floats]:
    """Train for some epochs.

    Args:
        train: U rows of item numbers.
        n_items: N.
        rule: ``uniform``; ``dns``: the best of the candidates; ``bns``: the least risky one.
        epochs: Passes over the pairs.
        embedding_size: D.
        seed: Of initial vectors, order and draws.
        after_epoch: Told the number of finished epochs and both tables after each.

    Returns:
        ``(U, D)`` user and ``(N, D)`` item vectors.
    """
    generator = numpy_generator(seed, "reference")
    users = generator.normal(0.0, 0.1, (len(train), embedding_size))
    items = generator.normal(0.0, 0.1, (n_items, embedding_size))
    pairs = np.stack([train.row_of, train.values], axis=1)[generator.permutation(len(train.values))]
    seen = _seen_table(train, n_items)
    prior = np.bincount(train.values, minlength=n_items) / max(len(train.values), 1)
    for epoch in range(epochs):
        draws = numpy_generator(seed, "reference", "draws", epoch)
        _epoch(users, items, pairs, seen, prior, _RULES[rule], draws)
        if after_epoch is not None:
            after_epoch(epoch + 1, users, items)
    return users, items


def _seen_table(train: Ragged, n_items: int) -> NDArray[np.bool_]:
    table = np.zeros((len(train), n_items), np.bool_)
    table[train.row_of, train.values] = True
    return table


@numba.njit(cache=True)
def _epoch(
    users: Floats,
    items: Floats,
    pairs: Ints,
    seen: NDArray[np.bool_],
    prior: Floats,
    rule: int,
    generator: np.random.Generator,
) -> None:
    candidates = np.empty(1 if rule == 0 else N_CANDIDATES, np.int64)
    for user, positive in pairs:
        _draw_distinct(candidates, seen[user], generator)
        negative = candidates[0]
        if rule == 1:
            negative = _hardest(candidates, users[user], items)
        elif rule == 2:
            negative = _least_risky(candidates, users[user], items, positive, seen[user], prior)
        _descend(users[user], items[positive], items[negative])


@numba.njit(cache=True)
def _draw_distinct(
    candidates: Ints, seen: NDArray[np.bool_], generator: np.random.Generator
) -> None:
    n_drawn = 0
    while n_drawn < len(candidates):
        item = int(generator.random() * len(seen))
        fresh = not seen[item]
        for other in candidates[:n_drawn]:
            fresh = fresh and other != item
        if fresh:
            candidates[n_drawn] = item
            n_drawn += 1


@numba.njit(cache=True)
def _hardest(candidates: Ints, user: Floats, items: Floats) -> int:
    best, highest = int(candidates[0]), -np.inf
    for item in candidates:
        score = np.dot(user, items[item])
        if score > highest:
            best, highest = int(item), score
    return best


@numba.njit(cache=True)
def _least_risky(
    candidates: Ints,
    user: Floats,
    items: Floats,
    positive: int,
    seen: NDArray[np.bool_],
    prior: Floats,
) -> int:
    scores = items @ user
    best, lowest = int(candidates[0]), np.inf
    for item in candidates:
        n_below, n_unseen = 0, 0
        for other in range(len(scores)):
            if not seen[other]:
                n_unseen += 1
                n_below += scores[other] <= scores[item]
        rank, p = n_below / (n_unseen + 1), prior[item]
        info = 1.0 - 1.0 / (1.0 + math.exp(scores[item] - scores[positive]))
        unbias = (1.0 - rank) * (1.0 - p) / (1.0 - rank - p + 2.0 * rank * p)
        risk = info * (1.0 - (1.0 + WEIGHT) * unbias)
        if risk < lowest:
            best, lowest = int(item), risk
    return best


@numba.njit(cache=True)
def _descend(user: Floats, positive: Floats, negative: Floats) -> None:
    margin = np.dot(user, positive) - np.dot(user, negative)
    slope = 1.0 - 1.0 / (1.0 + math.exp(-margin))
    for d in range(len(user)):
        user[d] += LEARNING_RATE * (slope * (positive[d] - negative[d]) - REG * user[d])
    for d in range(len(user)):
        positive[d] += LEARNING_RATE * (slope * user[d] - REG * positive[d])
        negative[d] += LEARNING_RATE * (-slope * user[d] - REG * negative[d])
