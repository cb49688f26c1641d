"""Encoders of text: a vocabulary that training data gives, or a hash that needs none."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.contracts.fields import FIRST_KNOWN, MISSING, HashEncoding, VocabularyEncoding
from vizsla.fields.hashing import KnownTexts, hash_texts
from vizsla.fields.values import Texts

__all__ = ["HashEncoder", "VocabularyCounter", "VocabularyEncoder"]

_MERGE_ROWS = 1 << 20


class HashEncoder:
    """A bucket per hash; see ``HashEncoding``."""

    def __init__(self, encoding: HashEncoding) -> None:
        self._encoding = encoding

    @property
    def n_codes(self) -> int:
        """Codes that it can give."""
        return FIRST_KNOWN + self._encoding.n_buckets

    def codes(self, texts: Texts) -> NDArray[np.int32]:
        """Return ``(B,)`` codes."""
        buckets = hash_texts(texts, self._encoding.seed) % np.uint64(self._encoding.n_buckets)
        return _without_missing(buckets.astype(np.int32) + FIRST_KNOWN, texts)

    def digest(self) -> bytes:
        """Return what tells it from others of the same declaration: nothing."""
        return b""


class VocabularyEncoder:
    """A code per known text.

    Args:
        values: Distinct texts; the first has code ``FIRST_KNOWN``.
    """

    def __init__(self, values: pl.Series) -> None:
        self.values = values
        self._known = KnownTexts.of(Texts.of_column(values))

    @property
    def n_codes(self) -> int:
        """Codes that it can give."""
        return FIRST_KNOWN + len(self.values)

    def codes(self, texts: Texts) -> NDArray[np.int32]:
        """Return ``(B,)`` codes."""
        return _without_missing(self._known.find(texts), texts)

    def digest(self) -> bytes:
        """Return a hash over the texts in order of their codes."""
        texts = Texts.of_column(self.values)
        held = texts.buffer[texts.offsets[0] : texts.offsets[-1]]
        digest = hashlib.sha256(np.diff(texts.offsets).tobytes())
        digest.update(np.ascontiguousarray(held).data)
        return digest.digest()


class VocabularyCounter:
    """Counts texts chunk by chunk; memory grows with the distinct ones alone.

    Texts are counted by their hash: two of n are one with probability ``n * n / 2 ** 65``.

    Args:
        encoding: What is left out at the end.
    """

    def __init__(self, encoding: VocabularyEncoding) -> None:
        self._encoding = encoding
        self._held = _Counts(np.empty(0, np.uint64), np.empty(0, np.int64), _NO_TEXT)
        self._pending: list[_Counts] = []
        self._n_pending = 0

    def add(self, values: pl.Series, times: pl.Series | None = None) -> None:
        """Count the texts of a column, each once or so many times; null is none."""
        present = values.is_not_null()
        known = values.filter(present)
        if not len(known):
            return
        counts = np.ones(len(known), np.int64)
        if times is not None:
            counts = times.filter(present).cast(pl.Int64).to_numpy()
        one = _Counts(hash_texts(Texts.of_column(known)), counts, known.alias("value"))
        self._pending.append(_merged([one]))
        self._n_pending += len(self._pending[-1].counts)
        # as much anew as there is already, so that a long stream is merged a few times only
        if self._n_pending >= max(_MERGE_ROWS, len(self._held.counts)):
            self._merge()

    def _merge(self) -> None:
        self._held = _merged([self._held, *self._pending])
        self._pending, self._n_pending = [], 0

    def encoder(self) -> VocabularyEncoder:
        """Return the encoder of everything counted: frequent texts first, ties by text."""
        self._merge()
        enough = self._held.counts >= self._encoding.min_count
        texts, counts = self._held.texts.filter(pl.Series(enough)), self._held.counts[enough]
        by_text = texts.arg_sort().to_numpy()
        order = by_text[np.argsort(-counts[by_text], kind="stable")]
        return VocabularyEncoder(texts.gather(order[: self._encoding.max_values]))


class _Counts(NamedTuple):
    """Texts, with a hash and a count for each."""

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]
    texts: pl.Series


_NO_TEXT = pl.Series("value", [], pl.String)


def _merged(parts: list[_Counts]) -> _Counts:
    """Add the counts of equal texts up."""
    hashes = np.concatenate([one.hashes for one in parts])
    counts = np.concatenate([one.counts for one in parts])
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(counts[order], starts) if len(starts) else counts
    texts = pl.concat([one.texts for one in parts], rechunk=True).gather(order[starts])
    return _Counts(ordered[starts], sums, texts)


def _without_missing(codes: NDArray[np.int32], texts: Texts) -> NDArray[np.int32]:
    codes[texts.missing] = MISSING
    return codes
