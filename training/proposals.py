"""Distributions over the catalogue from which negatives and candidates are drawn.

Shapes: **P** positives of a batch, **S** negatives, **N** items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from training.seen_items import SeenItems

__all__ = ["Draw", "Proposal", "draw_unseen"]

MAX_REDRAWS = 10
"""Draws of a place that are rejected before its row is drawn from its exact complement."""


class Proposal:
    """A fixed distribution over items, drawn with replacement.

    Args:
        weights: ``(N,)`` non-negative, not all zero; items of weight zero are never drawn.

    Example:
        >>> q = Proposal(torch.tensor([1.0, 0.0, 3.0]))
        >>> q.log_q.exp().tolist()
        [0.25, 0.0, 0.75]
    """

    def __init__(self, weights: Tensor) -> None:
        exact = weights.double()
        self.weights = exact
        self.log_q = torch.log(exact / exact.sum()).float()
        self._cumulative = torch.cumsum(exact, 0)
        self._is_uniform = bool((exact == exact[0]).all())

    @classmethod
    def uniform(cls, n_items: int) -> Proposal:
        """Every item alike."""
        return cls(torch.ones(n_items))

    @classmethod
    def popularity(cls, item_counts: Tensor, alpha: float) -> Proposal:
        """Proportional to ``count ** alpha``; items without interactions are never drawn."""
        counts = item_counts.double()
        return cls(torch.where(counts > 0, counts**alpha, 0.0))

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw int64 item numbers of any shape."""
        if self._is_uniform:
            return torch.randint(len(self.weights), shape, generator=generator)
        points = torch.rand(shape, generator=generator, dtype=torch.float64)
        points *= self._cumulative[-1]
        # right=True: an item of weight zero is an empty interval and is stepped over
        return torch.searchsorted(self._cumulative, points, right=True)


class Draw(NamedTuple):
    """Items that their users do not have.

    Attributes:
        item_nums: ``(P, S)`` int64.
        valid: ``(P, S)`` bool; False where the user has nothing left to draw.
        n_redraws: Single draws that were rejected and repeated.
    """

    item_nums: Tensor
    valid: Tensor
    n_redraws: int


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a draw must not be."""

    seen: SeenItems
    users: Tensor
    distinct: bool

    def broken(self, item_nums: Tensor) -> Tensor:
        bad = self.seen.contains(self.users, item_nums)
        return bad | _repeats(item_nums) if self.distinct else bad


def draw_unseen(
    proposal: Proposal,
    seen: SeenItems,
    users: Tensor,
    count: int,
    generator: torch.Generator,
    *,
    distinct: bool = False,
) -> Draw:
    """Draw ``count`` items for each user from a proposal, never one that the user has.

    Rejected draws are repeated at most ``MAX_REDRAWS`` times; what is left then is
    drawn from the exact complement, so a user with almost everything costs no more.

    Args:
        proposal: Where items come from; within a row, the result follows it
            conditioned on being unseen.
        seen: The items of all users.
        users: ``(P,)`` int64.
        count: Items per user S.
        generator: Source of all randomness.
        distinct: Whether the items of a row must differ.

    Returns:
        The items; ``valid`` is False where a user has fewer unseen items of non-zero
        weight than asked for.  Such places hold an arbitrary number and must carry weight 0.
    """
    rules = _Rules(seen, users, distinct)
    items = proposal.draw((len(users), count), generator)
    bad = rules.broken(items)
    redraw = _redraw_rows if distinct else _redraw_places
    n_redraws = redraw(items, bad, rules, proposal, generator)
    valid = torch.ones_like(bad)
    for row in bad.any(dim=1).nonzero()[:, 0].tolist():
        weights = proposal.weights.clone()
        weights[seen.items(int(users[row]))] = 0.0
        valid[row] = _fill_row(items[row], bad[row], weights, generator, distinct=distinct)
    return Draw(items, valid, n_redraws)


def _redraw_rows(
    items: Tensor, bad: Tensor, rules: _Rules, proposal: Proposal, generator: torch.Generator
) -> int:
    """Redraw bad places in place, a round at a time: what is distinct depends on the whole row."""
    rows, n_redraws = bad.any(dim=1).nonzero()[:, 0], 0
    for _ in range(MAX_REDRAWS):
        if not len(rows):
            break
        own, own_bad = items[rows], bad[rows]
        n_bad = int(own_bad.sum())
        n_redraws += n_bad
        own[own_bad] = proposal.draw((n_bad,), generator)
        own_bad = replace(rules, users=rules.users[rows]).broken(own)
        items[rows], bad[rows] = own, own_bad
        rows = rows[own_bad.any(dim=1)]
    return n_redraws


def _redraw_places(
    items: Tensor, bad: Tensor, rules: _Rules, proposal: Proposal, generator: torch.Generator
) -> int:
    """Redraw bad places in place: the first of ``MAX_REDRAWS`` draws of each that is not bad."""
    rows, columns = bad.nonzero(as_tuple=True)
    if not len(rows):
        return 0
    draws = proposal.draw((len(rows), MAX_REDRAWS), generator)
    broken = replace(rules, users=rules.users[rows]).broken(draws)
    first = broken.int().argmin(dim=1, keepdim=True)
    items[rows, columns] = draws.gather(1, first)[:, 0]
    bad[rows, columns] = broken.gather(1, first)[:, 0]
    return int(first.sum()) + len(rows)


def _fill_row(
    items: Tensor, bad: Tensor, weights: Tensor, generator: torch.Generator, *, distinct: bool
) -> Tensor:
    """Replace the bad places of one row in place; return ``(S,)`` bool, which places are valid."""
    if distinct:
        weights[items[~bad]] = 0.0
    n_bad, n_left = int(bad.sum()), int((weights > 0).sum())
    n_drawn = min(n_bad, n_left) if distinct else n_bad * (n_left > 0)
    places = bad.nonzero()[:, 0]
    if n_drawn:
        drawn = torch.multinomial(weights, n_drawn, replacement=not distinct, generator=generator)
        items[places[:n_drawn]] = drawn
    valid = torch.ones_like(bad)
    valid[places[n_drawn:]] = False
    return valid


def _repeats(item_nums: Tensor) -> Tensor:
    """Return ``(P, S)`` bool: the item stands further left in its row already."""
    ordered, order = torch.sort(item_nums, dim=1, stable=True)
    repeated = torch.zeros_like(item_nums, dtype=torch.bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return torch.zeros_like(repeated).scatter_(1, order, repeated)
