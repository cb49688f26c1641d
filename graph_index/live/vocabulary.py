"""Identifiers of a catalogue that changes; each state is a ``Vocabulary`` of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vizsla.vocabulary import UNKNOWN, Vocabulary

__all__ = ["LiveVocabulary"]

_MERGE_AT = 1024


class _Moves:
    """Identifiers that have got other numbers, ``UNKNOWN`` (-1) for none; never changed.

    Args:
        base: The bundle's vocabulary.
        nums: Identifier to number.
    """

    def __init__(self, base: Vocabulary, nums: Mapping[str, int]) -> None:
        self._base = base
        self.nums = nums

    def and_then(self, nums: Mapping[str, int]) -> _Moves:
        """Return these moves with later ones over them."""
        return _Moves(self._base, {**self.nums, **nums})

    def follow(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Write where items of the bundle are, given their rows, if they have moved."""
        known, moved_to = self._of_base
        if len(known):
            at = np.minimum(np.searchsorted(known, rows), len(known) - 1)
            places[:] = np.where(known[at] == rows, moved_to[at], places)

    @cached_property
    def _of_base(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the bundle, ascending, and the number that each has got."""
        rows = self._base.nums(self.nums)
        order = np.argsort(rows)[np.count_nonzero(rows == UNKNOWN) :]
        return rows[order], np.fromiter(self.nums.values(), np.int64)[order]


class LiveVocabulary(Vocabulary):
    """A vocabulary over another one: some identifiers were added, moved or taken out.

    Numbers are places of a ``LiveGraph``, so there are gaps.  ``changed`` makes the next
    state without copying what was there: the latest changes are in a small table of their
    own, which is merged into a larger one when it has grown.

    Args:
        base: The bundle's.

    Example:
        >>> before = LiveVocabulary(Vocabulary(["a", "b"]))
        >>> after = before.changed({"c": 2, "a": -1})
        >>> after.nums(["a", "b", "c"]).tolist(), len(after), after.id(2), before.num("a")
        ([-1, 1, 2], 2, 'c', 0)
    """

    def __init__(self, base: Vocabulary) -> None:
        self._base = base
        self._older = self._newer = _Moves(base, {})
        self._names: list[str] = base.ids()
        self._n_ids = len(base)

    def changed(self, nums: Mapping[str, int]) -> LiveVocabulary:
        """Return the state after identifiers have got new numbers, ``UNKNOWN`` (-1) for none.

        A number may be used again only when no state that knew its old identifier is held.
        """
        after = LiveVocabulary.__new__(LiveVocabulary)
        after._base, after._names = self._base, self._names
        after._older, after._newer = self._older, self._newer.and_then(nums)
        if len(after._newer.nums) > _MERGE_AT:
            after._older = after._older.and_then(after._newer.nums)
            after._newer = _Moves(self._base, {})
        was = sum(id_ in self for id_ in nums)
        after._n_ids = self._n_ids - was + sum(num != UNKNOWN for num in nums.values())
        for id_, num in nums.items():
            _name(self._names, num, id_)
        return after

    @property
    def base(self) -> Vocabulary:
        """The vocabulary before all changes."""
        return self._base

    def changes(self) -> dict[str, int]:
        """Return every identifier that a change has moved, with its number now."""
        return {**self._older.nums, **self._newer.nums}

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of items of the base vocabulary, ``UNKNOWN`` (-1) where one is gone.

        Complexity:
            ``O(R log C)`` for R rows and C changes, in NumPy; the latest changes are sorted
            once per state, the others once in a thousand.
        """
        places = rows.copy()
        self._older.follow(rows, places)
        self._newer.follow(rows, places)
        return places

    @cached_property
    def new_places(self) -> NDArray[np.int64]:
        """Places of the items that the base vocabulary does not know, ascending."""
        new = [num for id_, num in self.changes().items() if id_ not in self._base]
        found = np.array(new, np.int64)
        return np.sort(found[found != UNKNOWN])

    def __len__(self) -> int:
        return self._n_ids

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self.num(id_) != UNKNOWN

    @property
    def content_hash(self) -> str:
        """Hash of the identifiers in the order of their numbers."""
        return Vocabulary(self.ids()).content_hash

    def num(self, id_: str) -> int:
        """Return the place of an identifier, or ``UNKNOWN`` (-1)."""
        found = self._newer.nums.get(id_)
        if found is None:
            found = self._older.nums.get(id_)
        return self._base.num(id_) if found is None else found

    def nums(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the places of identifiers, ``UNKNOWN`` (-1) where there is none."""
        return np.fromiter(map(self.num, ids), np.int64)

    def id(self, num: int) -> str:
        """Return the identifier at a place."""
        return self._names[num]

    def ids(self, nums: Iterable[int] | None = None) -> list[str]:
        """Return the identifiers at places, or all in the order of their numbers."""
        if nums is not None:
            return [self._names[num] for num in nums]
        names: Sequence[str] = self._names[:]
        return [id_ for num, id_ in enumerate(names) if self.num(id_) == num]


def _name(names: list[str], num: int, id_: str) -> None:
    """Write a place's identifier; numbers are given out without gaps."""
    if num == UNKNOWN:
        return
    names.extend([""] * (num + 1 - len(names)))
    names[num] = id_
