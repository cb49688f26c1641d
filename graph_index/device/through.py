"""Steps of a walk past items that a filter does not allow, in tensors of one device.

Shapes: **B** queries, **C** candidates, **M** degree, **N** items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from graph_index.device.tables import DeviceGraph, Masks
from graph_index.through import BEHIND

__all__ = ["through"]

_MOST_CELLS = 2**24
"""Neighbours of neighbours looked at in one go; bounds memory."""


def through(item_nums: Tensor, graph: DeviceGraph, visited: Tensor, masks: Masks) -> Tensor:
    """Replace each item outside its query's filter by the next allowed items behind it.

    Args:
        item_nums: ``(B, C)`` int64, N for no item.
        graph: For the neighbours.
        visited: ``(B, N + 1)`` bool; what is passed is marked.
        masks: The filters.

    Returns:
        ``(B, C * (1 + BEHIND))`` int64 allowed items, N for none; some may be visited already.
    """
    inside = masks.within.gather(1, item_nums) | ~masks.filtered
    passed = item_nums.masked_fill(inside | visited.gather(1, item_nums), graph.n_items)
    step = max(1, _MOST_CELLS // (len(item_nums) * graph.neighbors.shape[1]))
    starts = range(0, passed.shape[1], step)
    behind = [_behind(passed[:, a : a + step], graph, visited, masks) for a in starts]
    visited.scatter_(1, passed, value=True)
    return torch.cat([item_nums.masked_fill(~inside, graph.n_items), *behind], dim=1)


def _behind(passed: Tensor, graph: DeviceGraph, visited: Tensor, masks: Masks) -> Tensor:
    """Return ``(B, C * BEHIND)`` the first allowed unvisited neighbours of each passed item."""
    around = graph.around(passed)
    good = masks.within.gather(1, around) & ~visited.gather(1, around)
    good = good.view(*passed.shape, -1)
    place = good.cumsum(2) - 1
    place = place.masked_fill(~good, BEHIND).clamp_(max=BEHIND)
    out = around.new_full((*passed.shape, BEHIND + 1), graph.n_items)
    out.scatter_(2, place, around.view_as(good).contiguous())
    return out[:, :, :BEHIND].flatten(1)
