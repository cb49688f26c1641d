"""Identifiers and rows."""

import pytest
from hypothesis import given, strategies as st

from vizsla.errors import DataError
from vizsla.vocabulary import UNKNOWN, Vocabulary

ids = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), unique=True, max_size=20)


@given(ids)
def test_ids_and_rows_are_inverse(names):
    """Any Unicode identifier, the empty one too."""
    vocabulary = Vocabulary(names)

    assert vocabulary.nums(names).tolist() == list(range(len(names)))
    assert vocabulary.ids(range(len(names))) == vocabulary.ids() == names
    assert all(vocabulary.id(vocabulary.num(name)) == name for name in names)


@given(ids, ids)
def test_the_hash_tells_vocabularies_apart(left, right):
    """Equal exactly when the identifiers and their order are."""
    same = Vocabulary(left).content_hash == Vocabulary(right).content_hash

    assert same == (left == right)


def test_the_hash_knows_where_an_identifier_ends():
    """``ab, c`` is not ``a, bc``."""
    assert Vocabulary(["ab", "c"]).content_hash != Vocabulary(["a", "bc"]).content_hash


def test_unknown_identifiers():
    """-1, which is no row."""
    vocabulary = Vocabulary(["a"])

    assert vocabulary.num("b") == UNKNOWN == -1
    assert vocabulary.nums(["a", "b"]).tolist() == [0, -1]
    assert "a" in vocabulary
    assert "b" not in vocabulary


def test_an_identifier_cannot_have_two_rows():
    """A duplicate is a mistake in the data."""
    with pytest.raises(DataError, match="twice"):
        Vocabulary(["a", "a"])
