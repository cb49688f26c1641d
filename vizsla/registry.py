"""Lazy tables of names: what can be plugged in, and where its code is."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from vizsla.errors import UnknownNameError

__all__ = ["Registry"]

Value = TypeVar("Value")


class Registry(Mapping[str, str]):
    """A table from a name to ``"module:attribute"``, imported when asked for.

    Registration is one greppable line; nothing depends on which module was
    imported first, and torch loads only when a model is built.

    Example:
        >>> paths = Registry("path class", {"pure": "pathlib:PurePosixPath"})
        >>> paths.load("pure")("a", "b").as_posix()
        'a/b'
        >>> paths.load("pur")
        Traceback (most recent call last):
        vizsla.errors.UnknownNameError: unknown path class 'pur': did you mean 'pure'? known: pure
    """

    def __init__(self, kind: str, targets: Mapping[str, str]) -> None:
        self.kind = kind
        self._targets = dict(targets)

    def __getitem__(self, name: str) -> str:
        return self._targets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def load(self, name: str) -> Any:
        """Import and return the object registered as ``name``.

        Raises:
            UnknownNameError: No such name; the message suggests the nearest.
        """
        module, _, attribute = look_up(self.kind, name, self._targets).partition(":")
        return getattr(import_module(module), attribute)


def look_up(kind: str, name: str, table: Mapping[str, Value]) -> Value:
    """Return what a table has under a name.

    Raises:
        UnknownNameError: No such name; the message suggests the nearest.
    """
    if name not in table:
        raise UnknownNameError(unknown_name(kind, name, table))
    return table[name]


def unknown_name(kind: str, name: str, known: Mapping[str, object]) -> str:
    """Say that a name is unknown, with the nearest known one and all known ones."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}:{hint} known: {', '.join(sorted(known))}"
