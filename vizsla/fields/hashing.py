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

_MAX_SEEDS = 8


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
        hashes: ``(N,)`` uint64, by their top k bits.
        codes: ``(N,)`` int32.
        starts: ``(2 ** k + 1,)`` int64, where hashes with each value of the top k bits begin.
    """

    seed: int
    hashes: NDArray[np.uint64]
    codes: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Texts) -> KnownTexts:
        """Number distinct texts from ``FIRST_KNOWN`` on, in their order.

        Raises:
            ValueError: They are not distinct.
        """
        bits = max(1, int(np.ceil(np.log2(max(2, len(texts))))))
        for seed in range(_MAX_SEEDS):
            hashes, codes, starts, distinct = _grouped(hash_texts(texts, seed), bits)
            if distinct:
                return cls(seed, hashes, codes, starts)
        raise ValueError("texts are not distinct")

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
def _grouped(
    hashes: NDArray[np.uint64], bits: int
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64], bool]:
    """Put hashes in groups by their top bits; say where each begins, and whether all differ."""
    shift = np.uint64(64 - bits)
    starts = np.zeros((1 << bits) + 1, np.int64)
    for one in hashes:
        starts[np.int64(one >> shift) + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    placed, codes = np.empty_like(hashes), np.empty(len(hashes), np.int32)
    distinct = True
    for number in range(len(hashes)):
        group = np.int64(hashes[number] >> shift)
        for place in range(starts[group], filled[group]):
            distinct &= placed[place] != hashes[number]
        placed[filled[group]] = hashes[number]
        codes[filled[group]] = FIRST_KNOWN + number
        filled[group] += 1
    return placed, codes, starts, distinct


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
