"""Named training frames: from their source, or from a folder, into a frame directory."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from vizsla.datasets.base import Progress, silent
from vizsla.datasets.fetching import DATASETS, data_home, files_of
from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.reading import read_frame
from vizsla.datasets.frames.storage import MANIFEST, FrameDraft, write_frame
from vizsla.datasets.importing import check_name
from vizsla.errors import UsageError
from vizsla.registry import Registry

__all__ = ["FRAMES", "fetch_frame"]

FRAMES = Registry(
    "training frame",
    {
        "ml-100k-ctr": "vizsla.datasets.frames.ml_100k:SOURCE",
        "ml-1m-ctr": "vizsla.datasets.frames.ml_1m:SOURCE",
        "frappe": "vizsla.datasets.frames.frappe:SOURCE",
        "criteo-sample": "vizsla.datasets.frames.samples:CRITEO",
        "avazu-sample": "vizsla.datasets.frames.samples:AVAZU",
        "synthetic-ctr": "vizsla.datasets.frames.synthetic:SOURCE",
    },
)


def fetch_frame(
    name: str,
    home: Path,
    source: Path | None = None,
    *,
    options: BaseModel | None = None,
    out: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Make a named frame available and return its directory.

    Args:
        name: One of ``FRAMES``.
        home: Vizsla's home folder; the frame goes to ``home/data/<out>``.
        source: Folder that holds the files; None downloads them.
        options: ``FrameOptions``, or ``SyntheticCtrOptions`` for ``synthetic-ctr``; the frame
            there is kept only if it has the same.  None takes what is there, or the default.
        out: Name for the frame; None is that of the source.
        force: Make it again even if it is there.
        progress: Told of downloads and of rows written.

    Raises:
        UnknownNameError: No such frame.
        NotFoundError: ``source`` lacks a file; the message lists them.
        DataError: The source is unreachable or not what it should be.
        UsageError: The frame cannot be divided in that way, is generated, or there is one of
            other options and no ``force``.
    """
    info: FrameSource = FRAMES.load(name)
    chosen = options or info.options()
    _check_options(info, chosen, source)
    directory = _directory(name, out, home, force=force)
    if directory.exists() and not force and options is None:
        return directory
    with files_of(info, source, home, progress) as folder:
        draft = _named(info.draft(folder, chosen), out)
        if directory.exists() and not force:
            _check_same(directory, draft)
            return directory
        write_frame(directory, draft, replace=force, progress=progress)
    return directory


def _directory(name: str, out: str | None, home: Path, *, force: bool) -> Path:
    if out is not None:
        # a frame of that name is compared with the options, so it may be there
        check_name(out, home, force=True, taken={*DATASETS, *FRAMES} - {name})
    directory = data_home(home) / (out or name)
    if directory.exists() and not force and not (directory / MANIFEST).is_file():
        raise UsageError(f"{directory} is there, but is no training frame: choose another --out")
    return directory


def _check_options(info: FrameSource, chosen: BaseModel, source: Path | None) -> None:
    if not isinstance(chosen, info.options):
        raise UsageError(f"{info.name} takes no such options: {', '.join(chosen.model_fields_set)}")
    if isinstance(chosen, FrameOptions) and chosen.split not in info.splits:
        raise UsageError(f"--split {chosen.split}: {info.name} has {', '.join(info.splits)}")
    if source is not None and not info.files:
        raise UsageError(f"{info.name} is generated: give --rows, --seed, ... instead of --from")


def _named(draft: FrameDraft, out: str | None) -> FrameDraft:
    if out is None:
        return draft
    manifest = draft.manifest.model_copy(update={"name": out})
    return FrameDraft(manifest, draft.rows, draft.n_rows, draft.texts)


def _check_same(directory: Path, draft: FrameDraft) -> None:
    there = read_frame(directory).manifest.source
    if there != draft.manifest.source:
        raise UsageError(f"{directory} holds another one ({there}): add --force to replace it")
