"""Counters: bounded, and the same whatever the portions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from vizsla.contracts.fields import BucketEncoding, VocabularyEncoding
from vizsla.fields import text_encoders
from vizsla.fields.hashing import KnownTexts, hash_texts
from vizsla.fields.number_encoders import QuantileCounter
from vizsla.fields.text_encoders import VocabularyCounter
from vizsla.fields.values import Texts, column_texts

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(NUMBERS, st.integers(0, 60), st.integers(2, 20))
def test_cells_grow_by_all_numbers_together(numbers, cut, most):
    """With room for few cells the edges are coarser, but do not depend on the portions."""
    values = np.array(numbers)
    whole, parts = (QuantileCounter(BucketEncoding(n_buckets=4), most) for _ in range(2))
    whole.add(values)
    parts.add(values[cut:])
    parts.add(values[:cut])

    assert whole.encoder().edges.tolist() == parts.encoder().edges.tolist()


@given(NUMBERS)
def test_edges_are_quantiles(numbers):
    """At least one number in each bucket, and none that is not below its edge."""
    counter = QuantileCounter(BucketEncoding(n_buckets=4))
    counter.add(np.array(numbers))
    encoder = counter.encoder()

    codes = encoder.codes(np.array(numbers))
    assert set(codes) == set(range(2, encoder.n_codes))
    assert set(encoder.edges.tolist()) <= {number + 0.0 for number in numbers}


def test_many_numbers_keep_few_cells():
    """A hundred thousand distinct numbers in a thousand cells: quantiles to about a percent."""
    counter = QuantileCounter(BucketEncoding(n_buckets=10), 1_000)
    counter.add(np.random.default_rng(0).random(100_000) + 1)

    assert np.allclose(counter.encoder().edges, 1 + np.arange(1, 10) / 10, atol=0.01)


def test_merging_counts_changes_nothing(monkeypatch):
    """A vocabulary of more values than are held pending."""
    values = pl.Series([str(n * n % 997) for n in range(5_000)])
    whole = VocabularyCounter(VocabularyEncoding())
    whole.add(values)
    monkeypatch.setattr(text_encoders, "_MERGE_ROWS", 100)
    parts = VocabularyCounter(VocabularyEncoding())
    for start in range(0, 5_000, 70):
        parts.add(values.slice(start, 70))

    assert parts.encoder().values.to_list() == whole.encoder().values.to_list()


def reference_hash(text: bytes, seed: int) -> int:
    """FNV-1a and the finaliser of MurmurHash3, in plain Python."""
    mask = 2**64 - 1
    value = 0xCBF29CE484222325 ^ (seed * 0x9E3779B97F4A7C15 & mask)
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & mask
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & mask
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & mask
    return value ^ (value >> 33)


@given(st.lists(st.text(max_size=20), max_size=5), st.integers(0, 2**32))
@settings(deadline=None)  # the first call compiles
def test_the_compiled_hash_is_the_one_described(words, seed):
    """From a list and from a column, even a sliced one."""
    expected = [reference_hash(word.encode(), seed) for word in words]

    assert hash_texts(Texts.of(words), seed).tolist() == expected
    column = pl.Series(["before", *words, "after"], dtype=pl.String)[1:-1]
    assert hash_texts(Texts.of_column(column), seed).tolist() == expected


@given(st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=50))
@settings(deadline=None)  # the first call compiles
def test_known_texts_are_found_and_others_are_not(words):
    """Codes count from 2 in the order of the words."""
    known = KnownTexts.of(Texts.of(words))

    assert known.find(Texts.of([*words, "something else"])).tolist() == [
        *range(2, 2 + len(words)),
        1,
    ]


def test_texts_that_occur_twice_have_no_codes():
    """A broken vocabulary is refused instead of coded at random."""
    with pytest.raises(ValueError, match="not distinct"):
        KnownTexts.of(Texts.of(["a", "b", "a"]))


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20))
@settings(deadline=None)  # the first call compiles
def test_whole_numbers_are_their_decimal_text(numbers):
    """Also negative ones, and the lowest there is; null is empty."""
    column = pl.Series(numbers, dtype=pl.Int64)
    expected = Texts.of(["" if number is None else str(number) for number in numbers])

    found = column_texts(column)
    assert found.buffer.tobytes() == expected.buffer.tobytes()
    assert found.offsets.tolist() == expected.offsets.tolist()
