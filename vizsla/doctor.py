"""``vizsla doctor``: can this machine run Vizsla, and what to do if it cannot."""

from __future__ import annotations

import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from vizsla.cli_output import print_json, print_table
from vizsla.config import Settings, load_settings

__all__ = ["Check", "check_all", "doctor"]

GIB = 1 << 30
MIN_MEMORY_BYTES = 2 * GIB
MIN_DISK_BYTES = 3 * GIB
MIN_FILES = 1024
SHM = Path("/dev/shm")
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it is as it should be.
        found: What is there.
        advice: What to do if it is not ok.
        required: Whether nothing works without it.
    """

    name: str
    ok: bool
    found: str
    advice: str
    required: bool = True


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that this machine can run Vizsla; exit status 1 if something required is missing."""
    checks = list(check_all(load_settings()))
    if json:
        print_json(checks)
    else:
        rows = [(_mark(c), c.name, c.found, "" if c.ok else c.advice) for c in checks]
        print_table("Doctor", ["", "check", "found", "what to do"], rows)
    raise typer.Exit(1 if any(c.required and not c.ok for c in checks) else 0)


def check_all(settings: Settings) -> Iterator[Check]:
    """Look at everything, cheapest first."""
    yield _python()
    yield _memory()
    yield _disk(settings.home)
    yield _shared_memory(settings.serving.ray_object_store_mb)
    yield _open_files()
    yield _port(settings.serving.host, settings.serving.port)
    yield _data_dir(settings.data_dir)
    yield _package("torch", "pip install torch==2.13.0 (the CPU build is enough)")
    yield _package("faiss", "pip install faiss-cpu")
    yield _package("ray", "pip install 'vizsla[serving]', or serve with --embedded", required=False)
    yield _gpu()


def _mark(check: Check) -> str:
    if check.ok:
        return "ok"
    return "FAIL" if check.required else "note"


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] == (3, 11)
    return Check("Python", ok, found, "use Python 3.11: make PYTHON=/path/to/python3.11")


def _memory() -> Check:
    free = _free_memory_bytes()
    found = "unknown" if free is None else f"{free / GIB:.1f} GiB free"
    ok = free is None or free >= MIN_MEMORY_BYTES
    return Check("memory", ok, found, "free 2 GiB, or use a smaller catalogue", required=False)


def _free_memory_bytes() -> int | None:
    """What the kernel calls available, within a container's limit; None without ``/proc``."""
    lines = _read(MEMINFO).splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    if "MemAvailable" not in sizes:
        return None
    free = int(sizes["MemAvailable"]) * 1024
    limit, used = _read(CGROUP / "memory.max").strip(), _read(CGROUP / "memory.current").strip()
    return min(free, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else free


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def _disk(home: Path) -> Check:
    place = next(path for path in (home.resolve(), *home.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    advice = "free 3 GiB there, or set VIZSLA_HOME to a folder on another disk"
    return Check("disk", free >= MIN_DISK_BYTES, f"{free / GIB:.1f} GiB free at {place}", advice)


def _shared_memory(needed_mb: int) -> Check:
    if not SHM.is_dir():
        return Check("/dev/shm", False, "missing", "serve with --embedded", required=False)
    free_mb = shutil.disk_usage(SHM).free >> 20
    advice = f"Ray wants {needed_mb} MiB: docker run --shm-size=1g, or serve with --embedded"
    return Check("/dev/shm", free_mb >= needed_mb, f"{free_mb} MiB free", advice, required=False)


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    found = "unlimited" if unlimited else f"at most {soft}"
    advice = f"ulimit -n {MIN_FILES} before `vizsla serve`"
    return Check("open files", unlimited or soft >= MIN_FILES, found, advice, required=False)


def _port(host: str, port: int) -> Check:
    name = f"port {host}:{port}"
    advice = "stop what listens there, or set VIZSLA_SERVING__PORT"
    try:
        with socket.create_server((host, port)):
            return Check(name, True, "free", advice, required=False)
    except OSError as error:
        return Check(name, False, error.strerror or str(error), advice, required=False)


def _data_dir(folder: Path | None) -> Check:
    if folder is None:
        return Check("VIZSLA_DATA_DIR", True, "not set, datasets are downloaded", "")
    found = str(folder) if folder.is_dir() else f"{folder} is no directory"
    return Check("VIZSLA_DATA_DIR", folder.is_dir(), found, "correct the path, or unset it")


def _package(name: str, advice: str, *, required: bool = True) -> Check:
    try:
        module = import_module(name)
    except ImportError as error:
        return Check(name, False, f"cannot be imported: {error}", advice, required)
    return Check(name, True, str(getattr(module, "__version__", "found")), advice, required)


def _gpu() -> Check:
    """A GPU is used when asked for and never needed."""
    try:
        available = bool(import_module("torch").cuda.is_available())
    except ImportError:
        available = False
    return Check("GPU", True, "available" if available else "none, not needed", "", required=False)
