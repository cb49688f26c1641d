"""Two id spaces with two names: what the customer sends, and our rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import DataError

__all__ = ["UNKNOWN", "Vocabulary"]

UNKNOWN = -1


class Vocabulary:
    """An ordered set of identifiers; the position of an ``id`` is its ``num``.

    Its content hash makes "are these the same vocabulary?" one comparison;
    every artifact that holds rows carries it.

    Args:
        ids: Distinct identifiers in row order.

    Raises:
        DataError: An identifier occurs twice.

    Example:
        >>> items = Vocabulary(["b", "a"])
        >>> items.nums(["a", "x", "b"]).tolist(), items.ids([0]), len(items)
        ([1, -1, 0], ['b'], 2)
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = list(ids)
        self._nums = {id_: num for num, id_ in enumerate(self._ids)}
        if len(self._nums) != len(self._ids):
            twice = next(id_ for num, id_ in enumerate(self._ids) if self._nums[id_] != num)
            raise DataError(f"a vocabulary has the same identifier twice: {twice!r}")

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._nums

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 over the identifiers in order, each with its length."""
        digest = hashlib.sha256()
        for id_ in self._ids:
            raw = id_.encode()
            digest.update(len(raw).to_bytes(4, "big") + raw)
        return digest.hexdigest()

    def num(self, id_: str) -> int:
        """Return the row of an identifier, or ``UNKNOWN`` (-1)."""
        return self._nums.get(id_, UNKNOWN)

    def nums(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the rows of identifiers, ``UNKNOWN`` (-1) where there is none."""
        return np.fromiter((self._nums.get(id_, UNKNOWN) for id_ in ids), np.int64)

    def id(self, num: int) -> str:
        """Return the identifier of a row."""
        return self._ids[num]

    def ids(self, nums: Iterable[int] | None = None) -> list[str]:
        """Return the identifiers of rows, or all in order."""
        return list(self._ids) if nums is None else [self._ids[num] for num in nums]
