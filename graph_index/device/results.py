"""From keys on a device to results."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from graph_index.device.keys import EMPTY, items_of, scores_of
from vizsla.contracts.index import SearchResult, SearchWork

__all__ = ["results_of"]


def results_of(keys: Tensor, works: Sequence[SearchWork]) -> list[SearchResult]:
    """Return one result per row of ``(B, K)`` keys, best first, cut at the first ``EMPTY``."""
    counts = (keys != EMPTY).sum(1).tolist()
    items, scores = items_of(keys).cpu().numpy(), scores_of(keys).cpu().numpy()
    return [
        SearchResult(items[row, :n].copy(), scores[row, :n].copy(), work)
        for row, (n, work) in enumerate(zip(counts, works, strict=True))
    ]
