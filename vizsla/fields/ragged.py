"""Lists of codes without gaps, none longer than its field allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.fields import MISSING, FieldSpec
from vizsla.fields.rows import Ragged

__all__ = ["ragged"]


def ragged(codes: NDArray[np.int32], lengths: NDArray[np.int64], field: FieldSpec) -> Ragged:
    """Return lists without their missing values: the first, or of a sequence the last ones.

    Args:
        codes: ``(V,)`` of all rows.
        lengths: ``(B,)`` how many each row has.
        field: Says how many are kept, and from which end.
    """
    codes, lengths = _kept(codes, lengths, codes != MISSING)
    if len(lengths) and lengths.max() > field.max_length:
        place = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        from_end = np.repeat(lengths, lengths) - 1 - place
        rank = from_end if field.kind == "sequence" else place
        codes, lengths = _kept(codes, lengths, rank < field.max_length)
    return Ragged(codes, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def _kept(
    codes: NDArray[np.int32], lengths: NDArray[np.int64], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    ends = np.cumsum(lengths)
    return codes[keep], before[ends] - before[ends - lengths]
