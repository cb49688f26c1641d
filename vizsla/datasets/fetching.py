"""Named datasets: from their source, or from a folder, into a dataset directory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vizsla.contracts.features import DatasetManifest
from vizsla.datasets.base import DatasetSource, FileSource, Progress, Tables, silent
from vizsla.datasets.sources.synthetic import SyntheticOptions, generate
from vizsla.datasets.storage import Draft, read_manifest, write
from vizsla.datasets.text import locate
from vizsla.errors import DataError, NotFoundError, UsageError
from vizsla.registry import Registry

__all__ = ["DATASETS", "data_home", "fetch", "files_of", "resolve"]

DATASETS = Registry(
    "dataset",
    {
        "ml-100k": "vizsla.datasets.sources.ml_100k:SOURCE",
        "ml-1m": "vizsla.datasets.sources.ml_1m:SOURCE",
        "gowalla": "vizsla.datasets.sources.gowalla:SOURCE",
        "diginetica": "vizsla.datasets.sources.diginetica:SOURCE",
        "yahoo-r3": "vizsla.datasets.sources.yahoo_r3:SOURCE",
        "amazon-beauty": "vizsla.datasets.sources.amazon_beauty:SOURCE",
        "bns-ml100k": "vizsla.datasets.sources.bns_ml100k:SOURCE",
        "synthetic": "vizsla.datasets.sources.synthetic:SOURCE",
        "million": "vizsla.datasets.sources.million:SOURCE",
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
    options: SyntheticOptions | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Make a named dataset available and return its directory.

    Args:
        name: One of ``DATASETS``.
        home: Vizsla's home folder; the dataset goes to ``home/data/<name>``.
        source: Folder that holds the files; None downloads them.
        options: Of ``synthetic``; the dataset there is kept only if it has the same.
        force: Fetch again even if it is there.
        progress: Told of downloads.

    Returns:
        ``home/data/<name>``; untouched when it is there already.

    Raises:
        UnknownNameError: No such dataset.
        NotFoundError: ``source`` lacks a file; the message lists them.
        DataError: The source is unreachable or not what it should be.
        UsageError: There is a synthetic dataset of other options, and no ``force``.
    """
    info: DatasetSource = DATASETS.load(name)
    if info.name == "synthetic":
        info = _synthetic(info, options or SyntheticOptions(), source)
    directory = data_home(home) / name
    if directory.exists() and not force:
        _check_same(info, directory)
        return directory
    tables = _tables(info, source, home, progress)
    write(directory, Draft(manifest_of(info), tables), replace=force)
    return directory


def _synthetic(
    info: DatasetSource, options: SyntheticOptions, source: Path | None
) -> DatasetSource:
    if source is not None:
        raise UsageError("synthetic is generated: give --users, --items, ... instead of --from")
    return replace(info, origin=options.describe(), parse=lambda _: generate(options))


def _check_same(info: DatasetSource, directory: Path) -> None:
    there = read_manifest(directory).source
    if info.name == "synthetic" and there != info.origin:
        raise UsageError(f"{directory} holds another one ({there}): add --force to replace it")


def _tables(info: DatasetSource, source: Path | None, home: Path, progress: Progress) -> Tables:
    with files_of(info, source, home, progress) as folder:
        return _parsed(info, folder) if info.files else info.parse(folder)


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


@contextmanager
def files_of(
    info: FileSource, source: Path | None, home: Path, progress: Progress
) -> Iterator[Path]:
    """Yield a folder with a source's files; a download is gone afterwards.

    Raises:
        NotFoundError: ``source`` lacks a file; the message lists them.
        DataError: There is no open download, or it failed.
    """
    if source is not None:
        _check_folder(info, source)
        yield source
    elif info.files:
        with _downloaded(info, home, progress) as folder:
            yield folder
    else:
        yield home


def _check_folder(info: FileSource, folder: Path) -> None:
    missing = [names for names in info.files if not _is_there(folder, names)]
    if missing:
        raise NotFoundError(
            f"{folder} lacks {_listed(missing)}: {info.name} needs {_listed(info.files)}"
        )


def _is_there(folder: Path, names: str) -> bool:
    return any(locate(folder, name).is_file() for name in names.split("|"))


def _listed(files: Sequence[str]) -> str:
    return ", ".join(names.replace("|", " or ") for names in files)


@contextmanager
def _downloaded(info: FileSource, home: Path, progress: Progress) -> Iterator[Path]:
    if info.download is None:
        raise DataError(
            f"{info.name} has no open download: get {_listed(info.files)} ({info.origin}), "
            f"then 'vizsla data fetch {info.name} --from DIR'"
        )
    data_home(home).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_home(home), prefix=".download-") as folder:
        info.download(Path(folder), progress)
        yield Path(folder)


def _parsed(info: DatasetSource, folder: Path) -> Tables:
    tables = info.parse(folder)
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
