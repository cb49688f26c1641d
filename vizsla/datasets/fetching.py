"""Named datasets: from their source, or from a folder, into a dataset directory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from vizsla.contracts.features import DatasetManifest
from vizsla.datasets.base import DatasetSource, Progress, Tables, silent
from vizsla.datasets.storage import Draft, read_manifest, write
from vizsla.errors import DataError, NotFoundError, UsageError
from vizsla.registry import Registry

__all__ = ["DATASETS", "data_home", "fetch", "resolve"]

DATASETS = Registry(
    "dataset",
    {
        "ml-100k": "vizsla.datasets.sources.ml_100k:SOURCE",
    },
)


def data_home(home: Path) -> Path:
    """Return the folder under which dataset directories lie."""
    return home / "data"


def fetch(
    name: str,
    home: Path,
    source: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Make a named dataset available and return its directory.

    Args:
        name: One of ``DATASETS``.
        home: Vizsla's home folder; the dataset goes to ``home/data/<name>``.
        source: Folder that holds the files; None downloads them.
        force: Fetch again even if it is there.
        progress: Told of downloads.

    Returns:
        ``home/data/<name>``; untouched when it is there already.

    Raises:
        UnknownNameError: No such dataset.
        NotFoundError: ``source`` lacks a file; the message lists them.
        DataError: The source is unreachable or not what it should be.
    """
    info: DatasetSource = DATASETS.load(name)
    directory = data_home(home) / name
    if directory.exists() and not force:
        read_manifest(directory)
        return directory
    tables = _from_folder(info, source) if source else _from_network(info, home, progress)
    write(directory, Draft(manifest_of(info), tables), replace=force)
    return directory


def manifest_of(info: DatasetSource) -> DatasetManifest:
    """Return the manifest of a registered dataset, its counts still to be filled in."""
    return DatasetManifest(
        name=info.name,
        source=info.origin,
        licence=info.licence,
        order=info.order,
        given_split=info.given_split,
        repeats=info.repeats,
        item_features=list(info.item_features),
        user_features=list(info.user_features),
        n_interactions=0,
        n_users=0,
        n_items=0,
        content_hash="",
    )


def _from_folder(info: DatasetSource, folder: Path) -> Tables:
    missing = [name for name in info.files if not (folder / name).is_file()]
    if missing:
        raise NotFoundError(
            f"{folder} lacks {', '.join(missing)}: {info.name} needs {', '.join(info.files)}"
        )
    return _parsed(info, info.parse, folder)


def _from_network(info: DatasetSource, home: Path, progress: Progress) -> Tables:
    if info.download is None:
        raise DataError(
            f"{info.name} has no open download: get {', '.join(info.files)} ({info.origin}), "
            f"then 'vizsla data fetch {info.name} --from DIR'"
        )
    data_home(home).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_home(home), prefix=".download-") as folder:
        info.download(Path(folder), progress)
        return _parsed(info, info.parse, Path(folder))


def _parsed(info: DatasetSource, parse: Callable[[Path], Tables], folder: Path) -> Tables:
    tables = parse(folder)
    if tables.interactions.is_empty():
        raise DataError(f"{folder}: no interaction of {info.name} in it")
    return tables


def resolve(name_or_path: str, home: Path) -> Path:
    """Return the directory of a dataset given by name or by path.

    Raises:
        NotFoundError: Neither is there; the message says what to run.
        UsageError: The argument is empty.
    """
    if not name_or_path:
        raise UsageError("a dataset name or directory is needed")
    for candidate in (data_home(home) / name_or_path, Path(name_or_path)):
        if (candidate / "dataset.json").is_file():
            return candidate
    raise NotFoundError(
        f"no dataset {name_or_path!r} in {data_home(home)}: "
        f"run 'vizsla data fetch {name_or_path}' or 'vizsla data import'"
    )
