"""A long faiss build that is kept every few minutes and taken up again after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vizsla.clock import Clock, SystemClock
from vizsla.errors import CorruptArtifactError
from vizsla.files import atomic_path, write_text

__all__ = ["Halfway"]

_INDEX, _KEY = "halfway.faiss", "halfway.key"
KEEP_EVERY_S = 120.0


class Halfway:
    """Where a build stands, on disk.

    Args:
        folder: Holds the two files; None keeps nothing.
        clock: Tells when it is time to write again.
    """

    def __init__(self, folder: Path | None, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._key = ""
        self._kept_s = self._clock.monotonic_s()

    def load(self, key: str) -> Any | None:
        """Return the index that a build of the same key had made; None to begin anew."""
        import faiss

        self._key = key
        if self._folder is None or not (self._folder / _KEY).is_file():
            return None
        if (self._folder / _KEY).read_text(encoding="utf-8") != key:
            return None
        path = self._folder / _INDEX
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            why = str(error).splitlines()[-1]
            raise CorruptArtifactError(f"{path}: cannot be taken up ({why}); delete it") from None

    def keep(self, index: Any) -> None:
        """Write the index if the last time was long ago."""
        now_s = self._clock.monotonic_s()
        if self._folder is None or now_s - self._kept_s < KEEP_EVERY_S:
            return
        import faiss

        (self._folder / _KEY).unlink(missing_ok=True)
        with atomic_path(self._folder / _INDEX) as path:
            faiss.write_index(index, str(path))
        write_text(self._folder / _KEY, self._key)
        self._kept_s = self._clock.monotonic_s()

    def discard(self) -> None:
        """Remove the files: the step is done."""
        if self._folder is None:
            return
        for name in (_KEY, _INDEX):
            (self._folder / name).unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()
