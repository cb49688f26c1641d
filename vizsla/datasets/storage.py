"""Dataset directories: written whole or not at all, read with a check."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from vizsla.contracts.features import DatasetManifest
from vizsla.datasets.base import Dataset, Tables
from vizsla.datasets.hashing import content_hash
from vizsla.errors import CorruptArtifactError, IncompatibleArtifactError, NotFoundError
from vizsla.files import atomic_directory

__all__ = ["FORMAT_VERSION", "Draft", "published", "read", "read_manifest", "write"]

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """A dataset about to be written.

    Attributes:
        manifest: Its counts and content hash are filled in by ``write``.
        tables: The tables.
        quarantine: Rows that were refused, written as JSON Lines, or None.
        texts: Further small files, name to content.
    """

    manifest: DatasetManifest
    tables: Tables
    quarantine: pl.DataFrame | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def write(directory: Path, draft: Draft, *, replace: bool = False) -> DatasetManifest:
    """Write a dataset directory atomically and return its completed manifest.

    Args:
        directory: Where to; left as it is when it exists, unless ``replace``.
        draft: What to write.
        replace: Put the new directory in the place of an existing one.
    """
    manifest = _completed(draft)
    with published(directory, replace=replace) as temporary:
        _write_tables(temporary, draft)
        texts = {**draft.texts, "dataset.json": manifest.model_dump_json(indent=2) + "\n"}
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return manifest


@contextmanager
def published(directory: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a temporary directory that becomes ``directory`` on success.

    Args:
        directory: Left as it is when it exists, unless ``replace``.
        replace: Put the new one in its place; the old one stays when anything fails.
    """
    old = directory.with_name(f".{directory.name}.replaced")
    try:
        with atomic_directory(directory) as temporary:
            yield temporary
            if replace and directory.exists():
                shutil.rmtree(old, ignore_errors=True)
                directory.rename(old)
    except BaseException:
        if replace and old.exists() and not directory.exists():
            old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _completed(draft: Draft) -> DatasetManifest:
    tables = draft.tables
    return draft.manifest.model_copy(
        update={
            "n_interactions": tables.interactions.height,
            "n_users": tables.interactions["user_id"].n_unique(),
            "n_items": tables.items.height,
            "n_quarantined": 0 if draft.quarantine is None else draft.quarantine.height,
            "content_hash": content_hash(_named(tables)),
        }
    )


def _named(tables: Tables) -> list[tuple[str, pl.DataFrame | None]]:
    return [
        ("interactions", tables.interactions),
        ("items", tables.items),
        ("users", tables.users),
    ]


def _write_tables(directory: Path, draft: Draft) -> None:
    for name, frame in _named(draft.tables):
        if frame is not None:
            frame.write_parquet(directory / f"{name}.parquet", compression="zstd")
    if draft.quarantine is not None and draft.quarantine.height:
        draft.quarantine.write_ndjson(directory / "quarantine.jsonl")


def read_manifest(directory: Path) -> DatasetManifest:
    """Read the manifest of a dataset directory.

    Raises:
        NotFoundError: There is no dataset there.
        CorruptArtifactError: The manifest cannot be read.
        IncompatibleArtifactError: It was written by another format version.
    """
    path = directory / "dataset.json"
    if not path.is_file():
        raise NotFoundError(
            f"no dataset in {directory} (dataset.json is missing): run 'vizsla data fetch NAME' or 'vizsla data import'"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise IncompatibleArtifactError(
                f"{path}: format version {version} is unknown here (known: {FORMAT_VERSION}); fetch or import again"
            )
        return DatasetManifest.model_validate(raw)
    except (ValidationError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtifactError(f"{path}: {reason}; fetch or import again") from error


def read(
    directory: Path, *, verify: bool = False, interactions: pl.DataFrame | None = None
) -> Dataset:
    """Read a dataset directory into memory.

    Args:
        directory: What ``fetch`` or ``import_files`` returned.
        verify: Recompute the content hash and compare; costs a second per 10 M rows.
        interactions: The rows of ``interactions.parquet`` where somebody else has read them.

    Raises:
        NotFoundError: There is no dataset there.
        CorruptArtifactError: A table is missing, unreadable or, with ``verify``, changed.
    """
    manifest = read_manifest(directory)
    users = directory / "users.parquet"
    tables = Tables(
        _read_table(directory / "interactions.parquet") if interactions is None else interactions,
        _read_table(directory / "items.parquet"),
        _read_table(users) if users.exists() else None,
    )
    if verify and content_hash(_named(tables)) != manifest.content_hash:
        raise CorruptArtifactError(
            f"{directory}: the tables are not those of dataset.json (content hash differs); fetch or import again"
        )
    return Dataset(manifest, tables.interactions, tables.items, tables.users)


def _read_table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, memory_map=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptArtifactError(
            f"{path}: cannot be read ({reason}); fetch or import again"
        ) from error
