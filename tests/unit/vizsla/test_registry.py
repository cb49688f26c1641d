"""Lazy tables of names."""

import sys

import pytest

from vizsla.errors import UnknownNameError
from vizsla.registry import Registry


def test_nothing_is_imported_before_it_is_asked_for():
    """A line that names a broken module does no harm to the others."""
    table = Registry("codec", {"good": "json:dumps", "bad": "no.such.module:x"})

    assert table.load("good")([1]) == "[1]"
    assert "no.such.module" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        table.load("bad")


def test_it_is_a_read_only_mapping():
    """Names in order of registration, with their targets."""
    table = Registry("codec", {"b": "json:dumps", "a": "json:loads"})

    assert list(table) == ["b", "a"]
    assert (len(table), table["a"], "c" in table) == (2, "json:loads", False)


@pytest.mark.parametrize(
    ("name", "hint"), [("jsno", "did you mean 'json'?"), ("zzz", "known: csv, json")]
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, hint):
    """And with the nearest one, where there is one."""
    table = Registry("codec", {"json": "json:dumps", "csv": "csv:reader"})

    with pytest.raises(UnknownNameError) as caught:
        table.load(name)
    assert str(caught.value).startswith(f"unknown codec {name!r}:")
    assert hint in str(caught.value)
