"""One stable 64-bit hash of text, and the table that finds known texts by it.

FNV-1a over the UTF-8 bytes, then the finaliser of MurmurHash3, so that all bits are usable.
The same on every machine and in every version: codes that it makes are part of trained models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.fields import FIRST_KNOWN, UNKNOWN
from vizsla.fields.values import Texts

__all__ = ["KnownTexts", "hash_texts"]

_MAX_SEEDS = 16


def hash_texts(texts: Texts, seed: int = 0) -> NDArray[np.uint64]:
    """Return ``(B,)`` hashes; a missing text has that of the empty one.

    Example:
        >>> [hex(h) for h in hash_texts(Texts.of(["", "a"]))]
        ['0xefd01f60ba992926', '0x82a2a958a9bece5b']
    """
    hashes: NDArray[np.uint64] = _hash(texts.buffer, texts.offsets, np.uint64(seed))
    return hashes


@dataclass(frozen=True, slots=True)
class KnownTexts:
    """Texts by hash: 12 bytes for each and two memory accesses per look-up, whatever the number.

    The known texts have different hashes; one that is not known is taken for a known one with
    probability ``n / 2 ** 64``.

    Attributes:
        seed: The first one under which all hashes differ.
        hashes: ``(N,)`` uint64, ascending.
        codes: ``(N,)`` int32.
        starts: ``(2 ** k + 1,)`` int64, where hashes with each value of the top k bits begin.
    """

    seed: int
    hashes: NDArray[np.uint64]
    codes: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Texts) -> KnownTexts:
        """Number distinct texts from ``FIRST_KNOWN`` on, in their order."""
        for seed in range(_MAX_SEEDS):
            hashes = hash_texts(texts, seed)
            order = np.argsort(hashes, kind="stable")
            ordered = hashes[order]
            if not (ordered[1:] == ordered[:-1]).any():
                break
        else:
            raise AssertionError("texts are not distinct")
        bits = max(1, int(np.ceil(np.log2(max(2, len(ordered))))))
        edges = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        starts = np.concatenate([[0], np.searchsorted(ordered, edges), [len(ordered)]])
        return cls(seed, ordered, (order + FIRST_KNOWN).astype(np.int32), starts.astype(np.int64))

    def find(self, texts: Texts) -> NDArray[np.int32]:
        """Return ``(B,)`` codes, ``UNKNOWN`` for texts that are not among them."""
        wanted = hash_texts(texts, self.seed)
        codes: NDArray[np.int32] = _find(wanted, self.hashes, self.codes, self.starts)
        return codes


@numba.njit(cache=True, nogil=True)
def _hash(
    buffer: NDArray[np.uint8], offsets: NDArray[np.int64], seed: np.uint64
) -> NDArray[np.uint64]:
    hashes = np.empty(len(offsets) - 1, np.uint64)
    basis = np.uint64(0xCBF29CE484222325) ^ (seed * np.uint64(0x9E3779B97F4A7C15))
    for row in range(len(hashes)):
        value = basis
        for place in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(buffer[place])) * np.uint64(0x100000001B3)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        hashes[row] = value ^ (value >> np.uint64(33))
    return hashes


@numba.njit(cache=True, nogil=True)
def _find(
    wanted: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    codes: NDArray[np.int32],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    found = np.full(len(wanted), UNKNOWN, np.int32)
    shift = np.uint64(64 - np.int64(np.round(np.log2(len(starts) - 1))))
    for row in range(len(wanted)):
        group = wanted[row] >> shift
        for place in range(starts[group], starts[group + 1]):
            if hashes[place] == wanted[row]:
                found[row] = codes[place]
    return found
