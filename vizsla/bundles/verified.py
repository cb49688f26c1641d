"""What a verified directory is: a manifest in JSON, and exactly the files that it lists."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from vizsla.bundles.layout import MAX_MANIFEST_BYTES, is_safe_name
from vizsla.contracts.bundle import FileEntry
from vizsla.errors import CorruptArtifactError
from vizsla.files import sha256_file

__all__ = ["check_files", "check_hashes", "check_sizes", "corrupt", "read_fields", "validated"]

_Model = TypeVar("_Model", bound=BaseModel)


def corrupt(path: Path, why: str) -> NoReturn:
    """Refuse a file.

    Raises:
        CorruptArtifactError: Always.
    """
    raise CorruptArtifactError(f"{path}: {why}")


def read_fields(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return a manifest's bytes and its fields, not yet checked.

    Raises:
        CorruptArtifactError: Not a regular file, too large, or not one JSON object.
    """
    raw = _read_bounded(path)
    try:
        fields = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        corrupt(path, f"not JSON ({error})")
    if not isinstance(fields, dict):
        corrupt(path, "not a JSON object")
    return raw, fields


def validated(kind: type[_Model], path: Path, fields: Mapping[str, Any]) -> _Model:
    """Return a manifest of its fields.

    Raises:
        CorruptArtifactError: They are not those of such a manifest; names the first.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        corrupt(path, f"field {'.'.join(map(str, first['loc']))}: {first['msg']}")


def check_files(
    manifest: Path, files: Mapping[str, FileEntry], required: Sequence[str], what: str
) -> None:
    """Check that a directory holds exactly the files of its manifest, all regular.

    Args:
        manifest: The manifest itself, in the directory.
        files: What it lists.
        required: What it has to list.
        what: The directory is called, for people: ``a bundle``.

    Raises:
        CorruptArtifactError: Names the file.
    """
    folder = manifest.parent
    for name in required:
        if name not in files:
            corrupt(manifest, f"does not list {name}")
    for name in files:
        if not is_safe_name(name):
            corrupt(manifest, f"file name {name!r} is not allowed")
        _check_kind(folder / name)
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if name not in files and name != manifest.name:
            corrupt(path, f"not in the manifest; {what} holds nothing else")


def check_sizes(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Check the size of every listed file, which costs nothing; ``check_hashes`` holds it too.

    Raises:
        CorruptArtifactError: Names the first that differs.
    """
    for name, entry in files.items():
        n_bytes = (folder / name).stat().st_size
        if n_bytes != entry.n_bytes:
            corrupt(folder / name, f"{n_bytes} bytes, the manifest says {entry.n_bytes}")


def check_hashes(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Check the content of every listed file.

    Raises:
        CorruptArtifactError: Names the first that differs.
    """
    for name, entry in files.items():
        if sha256_file(folder / name) != entry.sha256:
            corrupt(folder / name, "content does not match its sha256 in the manifest")


def _read_bounded(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        corrupt(path, "not a regular file")
    with path.open("rb") as file:
        raw = file.read(MAX_MANIFEST_BYTES + 1)
    if len(raw) > MAX_MANIFEST_BYTES:
        corrupt(path, f"larger than {MAX_MANIFEST_BYTES} bytes")
    return raw


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


def _check_kind(path: Path) -> None:
    try:
        status = path.lstat()
    except OSError:
        corrupt(path, "missing")
    if not stat.S_ISREG(status.st_mode):
        corrupt(path, "not a regular file")


def _entries(folder: Path) -> Iterator[Path]:
    """Everything below ``folder`` that is not a plain directory, links not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _entries(path)
        else:
            yield path
