"""Encoders of text: a vocabulary that training data gives, or a hash that needs none."""

from __future__ import annotations

import hashlib

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

    Args:
        encoding: What is left out at the end.
    """

    def __init__(self, encoding: VocabularyEncoding) -> None:
        self._encoding = encoding
        self._counts = pl.DataFrame(schema={"value": pl.String, "count": pl.UInt32})
        self._pending: list[pl.DataFrame] = []
        self._n_pending = 0

    def add(self, values: pl.Series) -> None:
        """Count the texts of a column; null is none."""
        counts = values.drop_nulls().alias("value").value_counts(name="count")
        self._pending.append(counts.cast({"count": pl.UInt32}))
        self._n_pending += counts.height
        # as much anew as there is already, so that a long stream is merged a few times only
        if self._n_pending >= max(_MERGE_ROWS, self._counts.height):
            self._merge()

    def _merge(self) -> None:
        both = pl.concat([self._counts, *self._pending])
        self._counts = both.group_by("value").agg(pl.col("count").sum())
        self._pending, self._n_pending = [], 0

    def encoder(self) -> VocabularyEncoder:
        """Return the encoder of everything counted: frequent texts first, ties by text."""
        self._merge()
        enough = self._counts.filter(pl.col("count") >= self._encoding.min_count)
        ordered = enough.sort("count", "value", descending=[True, False])
        return VocabularyEncoder(ordered["value"].head(self._encoding.max_values))


def _without_missing(codes: NDArray[np.int32], texts: Texts) -> NDArray[np.int32]:
    codes[texts.missing] = MISSING
    return codes
