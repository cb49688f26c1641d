"""How a candidate's score ranks among what its user has not seen.

Shapes: **P** positives of a batch, **C** candidates, **R** reference items.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["score_cdf"]

MAX_COUNTED = 32
"""Candidates up to which comparing all with all beats sorting the references."""


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
        ``O(P C R)`` comparisons in a compiled loop up to ``MAX_COUNTED`` candidates, else
        ``O(P (R + C) log R)``.

    Example:
        >>> scores = torch.tensor([[1.0, 2.0, 9.0]])
        >>> score_cdf(torch.tensor([[2.0, 0.0]]), scores, torch.tensor([[True, True, False]]))
        tensor([[0.6667, 0.0000]])
    """
    few = candidate_scores.shape[1] <= MAX_COUNTED
    return (_count if few else _search)(reference_scores, is_reference, candidate_scores)


def _count(references: Tensor, is_reference: Tensor, candidates: Tensor) -> Tensor:
    """Compare all candidates with all references."""
    from training.counting import share_below

    arrays = (candidates, references, is_reference)
    return torch.from_numpy(share_below(*(array.contiguous().numpy() for array in arrays)))


def _search(references: Tensor, is_reference: Tensor, candidates: Tensor) -> Tensor:
    """Say what ``_count`` says, by binary search among the sorted references."""
    hidden = references.masked_fill(~is_reference, torch.inf)
    ordered = hidden.sort(dim=1).values.contiguous()
    below = torch.searchsorted(ordered, candidates.contiguous(), right=True)
    n_references = is_reference.sum(dim=1, keepdim=True)
    return below.minimum(n_references) / (n_references + 1.0)
