"""The neighbour table from exact nearest neighbours, by matrix products on a torch device.

Shapes: **C** candidates, **D** vector size, **M** degree, **N** items, **R** rows at once, **W** width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph_index.device.compact import compacted
from graph_index.device.tables import resident

__all__ = ["exact_neighbors"]

_CELLS = {"cpu": 2**24, "cuda": 2**28}
"""Float32 values computed at once: 64 MiB, and 1 GiB on a GPU; selecting takes some of that again."""

_PASSES = ((0.0, 0.8), (0.8, 0.1), (0.9, 0.1))
"""Where each pass over the items begins and how long it takes, of the whole."""

_REVERSE = 2
"""Links to an item that are looked at, in multiples of the degree."""


@torch.inference_mode()
def exact_neighbors(
    item_vectors: NDArray[np.float32],
    max_degree: int,
    n_candidates: int,
    device: torch.device,
    report: Callable[[float], None],
) -> NDArray[np.int32]:
    """Link every item with near and diverse others, in both directions.

    1. The ``n_candidates`` nearest others of each item, exact.
    2. Of those, nearest first, one is kept if it is nearer to the item than to any that is
       kept already (HNSW's rule), at most ``max_degree / 2``.
    3. Each link is added the other way round as well; a row that then has more than ``max_degree``
       is chosen from by the same rule.

    Args:
        item_vectors: ``(N, D)`` float32, no two equal, ``N > max_degree``.
        max_degree: Columns M of the table.
        n_candidates: C.
        device: Where.
        report: Told the share done, rising to 1.

    Returns:
        ``(N, M)`` int32; a short row is padded with the item's own number.

    Complexity:
        ``O(N^2 D)``.  Memory on the device: ``4 (D + C) + 40 M`` bytes an item, and a few blocks
        of ``_CELLS``.

    References:
        Malkov and Yashunin, TPAMI 2020, algorithm 4; exact neighbours in place of a search.
    """
    vectors = resident(np.ascontiguousarray(item_vectors), device)
    near = _nearest(vectors, min(n_candidates, len(vectors) - 1), report)
    kept = _diverse_rows(vectors, near, max_degree // 2, report, 1)
    both = torch.cat([kept, _reversed(kept, _REVERSE * max_degree)], dim=1)
    table: NDArray[np.int32] = _diverse_rows(vectors, both, max_degree, report, 2).cpu().numpy()
    return table


def _blocks(
    vectors: Tensor, cells_per_row: int, report: Callable[[float], None], number: int
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the rows of a pass and their item numbers, as many at once as fit."""
    begin, share = _PASSES[number]
    step = max(1, _CELLS[vectors.device.type] // cells_per_row)
    for start in range(0, len(vectors), step):
        stop = min(start + step, len(vectors))
        yield slice(start, stop), torch.arange(start, stop, device=vectors.device)
        report(min(1.0, begin + share * stop / len(vectors)))


def _nearest(vectors: Tensor, n_candidates: int, report: Callable[[float], None]) -> Tensor:
    """Return ``(N, C)`` int32 the nearest others of each item."""
    lengths = vectors.square().sum(1)
    near = torch.empty((len(vectors), n_candidates), dtype=torch.int32, device=vectors.device)
    for rows, own in _blocks(vectors, len(vectors), report, 0):
        # half the squared distance, but for the row's own length, which changes no order
        gaps = torch.addmm(lengths, vectors[rows], vectors.T, beta=0.5, alpha=-1.0)
        gaps[own - rows.start, own] = torch.inf
        near[rows] = gaps.topk(n_candidates, dim=1, largest=False).indices.int()
    return near


def _diverse_rows(
    vectors: Tensor, candidates: Tensor, width: int, report: Callable[[float], None], number: int
) -> Tensor:
    """Choose ``(N, W)`` int32 from ``(N, C)`` candidates, of which an item's own number is none."""
    table = torch.empty((len(vectors), width), dtype=torch.int32, device=vectors.device)
    cells = candidates.shape[1] * (candidates.shape[1] + 2 * vectors.shape[1])
    for rows, own in _blocks(vectors, cells, report, number):
        table[rows] = _diverse(vectors, own, candidates[rows].long(), width).int()
    return table


def _diverse(vectors: Tensor, own: Tensor, candidates: Tensor, width: int) -> Tensor:
    """Return ``(R, W)`` of ``(R, C)`` candidates, nearest first, padded with the row's own number.

    Rows with at most W different candidates keep all of them.
    """
    candidates = _once(candidates, own)
    steps = vectors[candidates] - vectors[own][:, None]
    gaps = steps.square().sum(2).masked_fill_(candidates == own[:, None], torch.inf)
    gaps, order = gaps.sort(dim=1)
    steps = steps.gather(1, order[:, :, None].expand_as(steps))
    lengths = steps.square().sum(2)
    # seen from the item: near its own place, where float32 is finest
    between = lengths[:, :, None] + lengths[:, None] - 2 * steps @ steps.transpose(1, 2)
    usable = torch.isfinite(gaps)
    kept = torch.zeros_like(usable)
    for place in range(kept.shape[1]):
        covered = (kept & (between[:, place] < gaps[:, place, None])).any(1)
        kept[:, place] = usable[:, place] & ~covered
    kept |= usable & (usable.sum(1, keepdim=True) <= width)
    found = compacted(candidates.gather(1, order), kept, width, -1)
    return torch.where(found < 0, own[:, None], found)


def _once(candidates: Tensor, own: Tensor) -> Tensor:
    """Return the candidates with the row's own number in place of repeated ones."""
    ordered = candidates.sort(dim=1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return torch.where(again, own[:, None], ordered)


def _reversed(kept: Tensor, width: int) -> Tensor:
    """Return ``(N, W)`` int32 who links to each item, those of which it is nearest first."""
    n_items, n_links = kept.shape
    own = torch.arange(n_items, device=kept.device)
    ranks = torch.arange(n_links, device=kept.device)
    keys, order = (kept.long() * n_links + ranks).flatten().sort(stable=True)
    targets, sources = keys // n_links, order // n_links
    starts = torch.searchsorted(targets, own)
    places = torch.arange(len(targets), device=kept.device) - starts[targets]
    found = own.int()[:, None].repeat(1, width + 1)
    # padding links an item to itself, and what comes too late goes to a column that is cut off
    places = places.masked_fill(targets == sources, width).clamp_(max=width)
    found[targets, places] = sources.int()
    return found[:, :width]
