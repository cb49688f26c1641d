"""Named training frames: from their source, or from a folder, into a frame directory."""

from __future__ import annotations

from pathlib import Path

from vizsla.datasets.base import Progress, silent
from vizsla.datasets.fetching import data_home, files_of
from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.storage import write_frame
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
    },
)


def fetch_frame(
    name: str,
    home: Path,
    source: Path | None = None,
    *,
    options: FrameOptions | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Path:
    """Make a named frame available and return its directory.

    Args:
        name: One of ``FRAMES``.
        home: Vizsla's home folder; the frame goes to ``home/data/<name>``.
        source: Folder that holds the files; None downloads them.
        options: How rows are divided; None is the default way with seed 0.
        force: Make it again even if it is there.
        progress: Told of downloads and of rows written.

    Returns:
        ``home/data/<name>``; untouched when it is there already.

    Raises:
        UnknownNameError: No such frame.
        NotFoundError: ``source`` lacks a file; the message lists them.
        DataError: The source is unreachable or not what it should be.
        UsageError: The frame cannot be divided in that way.
    """
    info: FrameSource = FRAMES.load(name)
    chosen = options or FrameOptions(split=info.splits[0])
    if chosen.split not in info.splits:
        raise UsageError(f"--split {chosen.split}: {name} has {', '.join(info.splits)}")
    directory = data_home(home) / name
    if directory.exists() and not force:
        return directory
    with files_of(info, source, home, progress) as folder:
        write_frame(directory, info.draft(folder, chosen), replace=force, progress=progress)
    return directory
