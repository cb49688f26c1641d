"""Files that are either complete or absent, and hashes of what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_directory", "atomic_path", "file_name_of", "sha256_file", "write_text"]

_LONGEST_NAME = 50
"""Characters; a name has at most 255 bytes on most file systems, and a character up to four."""


def file_name_of(id_: str) -> str:
    """Return an identifier as a part of a file's name: itself where that is safe, else like it.

    Letters, digits, ``-`` and ``_`` stay.  Where anything else gave way to ``_``, or the end
    was cut off, the start of a hash keeps different identifiers apart.

    Example:
        >>> file_name_of("B00-42"), file_name_of("../a b"), file_name_of("Größe")
        ('B00-42', '_a_b-2c2c791a', 'Größe')
    """
    safe = re.sub(r"[^\w-]+", "_", id_)[:_LONGEST_NAME]
    if safe == id_ and safe:
        return safe
    digest = hashlib.sha256(id_.encode(errors="surrogatepass")).hexdigest()
    return f"{safe}-{digest[:8]}"


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's content, read in bounded pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it on success.

    The content is flushed to disk before the rename, so that a crash leaves the
    old file or the new one, never half of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _fsync(temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
        _fsync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary directory that becomes ``target`` on success.

    ``target`` must not exist, or is left as it is when it appears meanwhile
    (content-addressed directories: whoever was first wrote the same bytes).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        for path in temporary.rglob("*"):
            _fsync(path)
        _fsync(temporary)
        temporary.chmod(0o755)
        _publish(temporary, target)
        _fsync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, target: Path) -> None:
    """Rename, unless another process has just published the same directory."""
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def write_text(target: Path, text: str) -> None:
    """Write a small text file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
