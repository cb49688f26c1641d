"""The most memory and disk that a block takes."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from vizsla.errors import UsageError

__all__ = ["MIB", "Peaks"]

MIB = 1 << 20
_STATUS = Path("/proc/self/status")
_EVERY_S = 0.2


class Peaks:
    """Watches this process for the length of a block.

    Args:
        folder: Whose files count as disk.

    Attributes:
        anonymous: Most bytes of memory that are no pages of files, looked at five times a second.
        disk: Most bytes of the folder's files, likewise.

    Raises:
        UsageError: The system does not tell; Linux does.
    """

    def __init__(self, folder: Path) -> None:
        if not _STATUS.is_file():
            raise UsageError("memory is read from /proc, which only Linux has")
        self._folder = folder
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.anonymous = self.disk = 0

    @property
    def resident(self) -> int:
        """Most bytes since the process began, pages of mapped files included."""
        return _status("VmHWM")

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        self._look()
        while not self._done.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        self.anonymous = max(self.anonymous, _status("RssAnon"))
        self.disk = max(self.disk, sum(map(_size, self._folder.rglob("*"))))


def _status(name: str) -> int:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _size(path: Path) -> int:
    """Return a file's bytes; 0 where it has just been moved or removed."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
