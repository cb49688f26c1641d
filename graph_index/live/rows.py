"""Arrays that one writer changes while readers hold what they once took.

A reader keeps a plain array and takes no lock; the writer learns from its being
garbage that a buffer may be written again.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GrowingRows", "RowVersions"]

_SPARE_RATIO = 0.125
_SPARE_ROWS = 256
_BUFFERS_KEPT = 2


class GrowingRows:
    """Rows that are added, or put where no reader looks any more; views stay as they are.

    Args:
        base: ``(N, ...)`` first rows; copied at the first change only.

    Example:
        >>> rows = GrowingRows(np.array([1.0, 2.0]))
        >>> before = rows.view()
        >>> rows.put(np.array([2]), np.array([3.0]))
        >>> before.tolist(), rows.view().tolist()
        ([1.0, 2.0], [1.0, 2.0, 3.0])
    """

    def __init__(self, base: NDArray[Any]) -> None:
        self._array = base
        self._n_rows = len(base)
        self._owned = False

    def __len__(self) -> int:
        return self._n_rows

    def put(self, nums: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Write rows; numbers beyond the end add rows, without a gap."""
        n_rows = max(self._n_rows, int(nums.max(initial=-1)) + 1)
        if not self._owned or n_rows > len(self._array):
            self._array = _with_room(self._array, self._n_rows, n_rows)
            self._owned = True
        self._array[nums] = rows
        self._n_rows = n_rows

    def view(self) -> NDArray[Any]:
        """Return the rows, to be read."""
        return self._array[: self._n_rows]


@dataclass(slots=True, eq=False)
class _Buffer:
    array: NDArray[np.int32]
    version: int
    readers: list[weakref.ref[NDArray[np.int32]]] = field(default_factory=list)

    def is_free(self) -> bool:
        self.readers = [reader for reader in self.readers if reader() is not None]
        return not self.readers


class RowVersions:
    """A table of rows whose published versions never change.

    Two buffers take turns: while readers hold the one, the other is brought up to date by
    the rows that changed since it was the latest, and written.  A reader that holds a
    version for long costs one more buffer, never a wait.

    Args:
        table: ``(N, M)`` int32, the first version; never written.

    Example:
        >>> rows = RowVersions(np.zeros((2, 1), np.int32))
        >>> rows.write(np.array([1]), np.array([[7]], np.int32))
        >>> before, after = rows.latest, rows.publish()
        >>> before.tolist(), after.tolist(), rows.n_buffers
        ([[0], [0]], [[0], [7]], 1)
    """

    def __init__(self, table: NDArray[np.int32]) -> None:
        self.latest = table[:]  # a view of our own: its end is the end of the first version
        self.version = 0
        # without the array, or this would be its last reader for ever
        self._base = _Buffer(np.empty((0, 0), np.int32), 0, [weakref.ref(self.latest)])
        self._buffers: list[_Buffer] = []
        self._changes: list[tuple[int, NDArray[np.int64]]] = []
        self._open: _Buffer | None = None
        self._touched: list[NDArray[np.int64]] = []
        self._n_rows = len(table)

    @property
    def n_buffers(self) -> int:
        """Tables held beside the first one."""
        return len(self._buffers)

    def current(self) -> NDArray[np.int32]:
        """Return the rows as the writer sees them; valid until the next ``write``."""
        return self.latest if self._open is None else self._open.array[: self._n_rows]

    def write(self, nums: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
        """Change rows of the version that ``publish`` makes next."""
        n_rows = max(self._n_rows, int(nums.max(initial=-1)) + 1)
        buffer = self._opened()
        if n_rows > len(buffer.array):
            buffer.array = _with_room(buffer.array, self._n_rows, n_rows)
        buffer.array[nums] = rows
        self._n_rows = n_rows
        self._touched.append(nums)

    def publish(self) -> NDArray[np.int32]:
        """Make what was written the latest version and return it; nothing written, the same."""
        if self._open is None:
            return self.latest
        self.version += 1
        self._changes.append((self.version, np.unique(np.concatenate(self._touched))))
        view = self._open.array[: self._n_rows]
        view.flags.writeable = False
        self._open.version = self.version
        self._open.readers.append(weakref.ref(view))
        self.latest, self._open, self._touched = view, None, []
        self._drop_old()
        return view

    def oldest_held(self) -> int:
        """Return the oldest version that some reader may hold."""
        held = [b.version for b in (self._base, *self._buffers) if not b.is_free()]
        return min([*held, self.version])

    def _opened(self) -> _Buffer:
        if self._open is None:
            self._open = next((b for b in self._buffers if b.is_free()), None) or self._added()
            self._catch_up(self._open)
        return self._open

    def _added(self) -> _Buffer:
        buffer = _Buffer(_with_room(self.latest, self._n_rows, self._n_rows), self.version)
        self._buffers.append(buffer)
        return buffer

    def _catch_up(self, buffer: _Buffer) -> None:
        """Copy the rows that changed since the buffer was the latest version."""
        if len(buffer.array) < self._n_rows:
            buffer.array = _with_room(self.latest, self._n_rows, self._n_rows)
            return
        for version, nums in self._changes:
            if version > buffer.version:
                buffer.array[nums] = self.latest[nums]

    def _drop_old(self) -> None:
        """Forget buffers that long readers made necessary, and changes that all buffers have."""
        free = [buffer for buffer in self._buffers if buffer.is_free()]
        for buffer in free[: max(0, len(self._buffers) - _BUFFERS_KEPT)]:
            self._buffers.remove(buffer)
        oldest = min(buffer.version for buffer in self._buffers)
        self._changes = [change for change in self._changes if change[0] > oldest]


def _with_room(array: NDArray[Any], n_rows: int, wanted: int) -> NDArray[Any]:
    """Return a copy of the first rows with room for ``wanted`` and some more."""
    room = wanted + int(wanted * _SPARE_RATIO) + _SPARE_ROWS
    grown = np.zeros((room, *array.shape[1:]), array.dtype)
    grown[:n_rows] = array[:n_rows]
    return grown
