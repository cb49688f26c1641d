"""How a candidate's score ranks among what its user has not seen.

Shapes: **P** positives of a batch, **C** candidates, **R** reference items.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["score_cdf"]

MAX_COUNTED = 32
"""Candidates up to which comparing all with all beats sorting the references."""

CHUNK_COMPARISONS = 4_000_000


def score_cdf(candidate_scores: Tensor, reference_scores: Tensor, is_reference: Tensor) -> Tensor:
    """Return the share of a user's unseen items that score no higher than each candidate.

    The divisor is one more than the number of references, which keeps the result
    below 1 (Bayesian negative sampling divides by it, so does the release).

    Args:
        candidate_scores: ``(P, C)`` float32.
        reference_scores: ``(P, R)`` float32 scores of all unseen items (the exact
            function) or of a uniform sample of them.
        is_reference: ``(P, R)`` bool, False where the user has the item.

    Returns:
        ``(P, C)`` float32 in [0, 1); 0 for a user without references.

    Complexity:
        ``O(P C R)`` comparisons up to ``MAX_COUNTED`` candidates (four times as fast there,
        in chunks of 4 MB), else ``O(P (R + C) log R)``.

    Example:
        >>> scores = torch.tensor([[1.0, 2.0, 9.0]])
        >>> score_cdf(torch.tensor([[2.0, 0.0]]), scores, torch.tensor([[True, True, False]]))
        tensor([[0.6667, 0.0000]])
    """
    hidden = reference_scores.masked_fill(~is_reference, torch.inf)
    few = candidate_scores.shape[1] <= MAX_COUNTED
    below = (_count if few else _search)(hidden, candidate_scores)
    n_references = is_reference.sum(dim=1, keepdim=True)
    return below.minimum(n_references) / (n_references + 1.0)


def _count(references: Tensor, candidates: Tensor) -> Tensor:
    """Return ``(P, C)`` int32: references of the row that score no higher."""
    size = max(1, CHUNK_COMPARISONS // max(1, candidates.shape[1] * references.shape[1]))
    below = torch.empty(candidates.shape, dtype=torch.int32)
    for start in range(0, len(candidates), size):
        rows = slice(start, start + size)
        no_higher = references[rows, None] <= candidates[rows, :, None]
        torch.sum(no_higher, dim=2, dtype=torch.int32, out=below[rows])
    return below


def _search(references: Tensor, candidates: Tensor) -> Tensor:
    """Count like ``_count``, by binary search among the sorted references."""
    ordered = references.sort(dim=1).values.contiguous()
    return torch.searchsorted(ordered, candidates.contiguous(), right=True)
