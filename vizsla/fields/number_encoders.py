"""Encoders of numbers: buckets between quantiles of training data, or buckets by size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.fields import (
    FIRST_KNOWN,
    MISSING,
    UNKNOWN,
    BucketEncoding,
    LogEncoding,
)

__all__ = ["BucketEncoder", "LogEncoder", "QuantileCounter"]

_MOST_CELLS = 1 << 20
_ALL_BUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


class BucketEncoder:
    """Buckets between edges: a number no larger than the first edge is in the first.

    Args:
        edges: ``(E,)`` float64, rising; E + 1 buckets.
        any_seen: Whether training data had a number at all; if not, every number is unknown.
    """

    def __init__(self, edges: NDArray[np.float64], *, any_seen: bool = True) -> None:
        self.edges = edges
        self.any_seen = any_seen

    @property
    def n_codes(self) -> int:
        """Codes that it can give."""
        return FIRST_KNOWN + (len(self.edges) + 1 if self.any_seen else 0)

    def codes(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return ``(B,)`` codes."""
        places = np.searchsorted(self.edges, values, side="left") + FIRST_KNOWN
        codes = places if self.any_seen else np.full(len(values), UNKNOWN)
        return np.where(np.isnan(values), MISSING, codes).astype(np.int32)

    def digest(self) -> bytes:
        """Return what tells it from others of the same declaration."""
        return self.edges.tobytes() + bytes([self.any_seen])


class LogEncoder:
    """Buckets by size, half of them for negative numbers; see ``LogEncoding``."""

    def __init__(self, encoding: LogEncoding) -> None:
        self._encoding = encoding

    @property
    def n_codes(self) -> int:
        """Codes that it can give."""
        return FIRST_KNOWN + self._encoding.n_buckets

    def codes(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return ``(B,)`` codes."""
        sizes = np.floor(self._encoding.steps * np.log1p(np.abs(values)))
        n_buckets = self._encoding.n_buckets
        places = np.clip(np.copysign(sizes, values) + n_buckets // 2, 0, n_buckets - 1)
        codes = np.where(np.isnan(values), MISSING, places + FIRST_KNOWN)
        return codes.astype(np.int32)

    def digest(self) -> bytes:
        """Return what tells it from others of the same declaration: nothing."""
        return b""


class QuantileCounter:
    """Counts numbers chunk by chunk, in cells that grow where there are too many of them.

    With up to a million distinct numbers the quantiles are exact.  Beyond, a cell drops low
    bits of the float: as many as all numbers together need, so that neither the order of the
    numbers nor the chunks matter.

    Args:
        encoding: How many buckets to make.
        most_cells: Cells that are kept.
    """

    def __init__(self, encoding: BucketEncoding, most_cells: int = _MOST_CELLS) -> None:
        self._n_buckets = encoding.n_buckets
        self._most = most_cells
        self._dropped = 0
        self._cells = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def add(self, values: NDArray[np.float64]) -> None:
        """Count numbers; NaN and infinities do not count."""
        cells, counts = np.unique(_ordered(values[np.isfinite(values)]), return_counts=True)
        self._merge(cells >> self._dropped, counts)
        while len(self._cells) > self._most:
            self._dropped += 1
            cells, counts = self._cells >> 1, self._counts
            self._cells, self._counts = np.empty(0, np.int64), np.empty(0, np.int64)
            self._merge(cells, counts)

    def _merge(self, cells: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        both = np.concatenate([self._cells, cells])
        self._cells, where = np.unique(both, return_inverse=True)
        sums = np.zeros(len(self._cells), np.int64)
        np.add.at(sums, where, np.concatenate([self._counts, counts]))
        self._counts = sums

    def encoder(self) -> BucketEncoder:
        """Return buckets of about equal counts; heavy ties give fewer."""
        if not len(self._cells):
            return BucketEncoder(np.empty(0), any_seen=False)
        ends = np.cumsum(self._counts)
        wanted = np.ceil(ends[-1] * np.arange(1, self._n_buckets) / self._n_buckets)
        places = np.unique(np.searchsorted(ends, wanted, side="left"))
        cells = self._cells[places[places < len(ends) - 1]]
        return BucketEncoder(_highest(cells, self._dropped))


def _ordered(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return integers that are in the order of the numbers."""
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0
    return np.where(bits < 0, bits ^ _ALL_BUT_SIGN, bits)


def _highest(cells: NDArray[np.int64], dropped: int) -> NDArray[np.float64]:
    """Return the highest number of each cell."""
    last = ((cells + 1) << dropped) - 1
    return np.where(last < 0, last ^ _ALL_BUT_SIGN, last).view(np.float64)
