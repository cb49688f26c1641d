"""Compiled counting loops."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["look_up", "mark_owners", "share_below"]


@numba.njit(cache=True)
def share_below(
    candidates: NDArray[np.float32],
    references: NDArray[np.float32],
    is_reference: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the share of a row's references that are no higher than each candidate.

    Args:
        candidates: ``(P, C)`` float32.
        references: ``(P, R)`` float32.
        is_reference: ``(P, R)`` bool, False for those that do not count.

    Returns:
        ``(P, C)`` float32 counts over one more than the number of the row's references.

    Complexity:
        ``O(P C R)`` comparisons in vector registers, no memory beside the result.
    """
    n_rows, n_candidates = candidates.shape
    shares = np.zeros((n_rows, n_candidates), np.float32)
    for row in range(n_rows):
        own, taken = references[row], is_reference[row]
        n_taken = np.int32(0)
        for place in range(len(own)):
            n_taken += np.int32(taken[place])
        for column in range(n_candidates):
            highest, count = candidates[row, column], np.int32(0)
            for place in range(len(own)):
                count += np.int32(taken[place]) & np.int32(own[place] <= highest)
            shares[row, column] = np.float32(count) / np.float32(n_taken + 1)
    return shares


@numba.njit(cache=True)
def look_up(
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    missing: NDArray[np.float32],
    rows: NDArray[np.int64],
    wanted: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Look entries of a sparse matrix up, by binary search in their rows.

    Args:
        columns: ``(U, K)`` int32, each row ascending, K at least 1.
        values: ``(U, K)`` float32.
        missing: ``(U,)`` float32, what the other entries of a row are.
        rows: ``(P,)`` int64.
        wanted: ``(P, C)`` int64 columns.

    Returns:
        ``(P, C)`` float32.
    """
    found = np.empty(wanted.shape, np.float32)
    for place in range(len(rows)):
        row = rows[place]
        own = columns[row]
        for number in range(wanted.shape[1]):
            column, first, size = wanted[place, number], 0, len(own)
            while size > 1:
                half = size // 2
                first += half * (own[first + half] <= column)
                size -= half
            is_kept = own[first] == column
            found[place, number] = values[row, first] if is_kept else missing[row]
    return found


@numba.njit(cache=True)
def mark_owners(
    offsets: NDArray[np.int64],
    members: NDArray[np.int64],
    groups: NDArray[np.int64],
    wanted: NDArray[np.int64],
    n_members: int,
) -> NDArray[np.bool_]:
    """Tell which of the wanted members are in which groups, by walking the groups.

    Args:
        offsets: ``(G + 1,)`` int64: group ``g`` has ``members[offsets[g]:offsets[g + 1]]``.
        members: ``(M,)`` int64 below ``n_members``.
        groups: ``(S,)`` int64, repeats welcome.
        wanted: ``(P,)`` int64 below ``n_members``, repeats welcome.
        n_members: Number of possible members.

    Returns:
        ``(P, S)`` bool.

    Complexity:
        ``O(n_members + P S)`` plus the sizes of the groups.
    """
    last = np.full(n_members, -1, np.int32)
    before = np.empty(len(wanted), np.int32)  # the wanted place of the same member before this one
    for place in range(len(wanted)):
        before[place] = last[wanted[place]]
        last[wanted[place]] = place
    found = np.zeros((len(wanted), len(groups)), np.bool_)
    for column in range(len(groups)):
        for number in range(offsets[groups[column]], offsets[groups[column] + 1]):
            place = last[members[number]]
            while place >= 0:
                found[place, column] = True
                place = before[place]
    return found
