"""Where a figure comes from: code, machine, command, time."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from vizsla.clock import Clock, SystemClock

__all__ = ["Provenance", "command_line", "commit_of", "machine", "provenance"]

_GIT_LIMIT_S = 10.0
_CPU_FILE = Path("/proc/cpuinfo")


class Provenance(BaseModel):
    """What it takes to make a figure again.

    Attributes:
        commit: Of the checkout the code runs from, with ``-dirty`` where it was changed;
            None for an installed copy.
        machine: Processor, cores it may use, Python and platform.
        command: The command line, ready for a shell.
        started: ISO 8601, UTC.
        seed: What the user gave.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str | None
    machine: dict[str, str | int]
    command: str
    started: str
    seed: int


def provenance(seed: int, clock: Clock | None = None) -> Provenance:
    """Describe this run."""
    now_s = (clock or SystemClock()).now_s()
    return Provenance(
        commit=commit_of(Path(__file__).resolve().parent.parent),
        machine=machine(),
        command=command_line(sys.argv),
        started=datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        seed=seed,
    )


def commit_of(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, or None where it is no root of a checkout."""
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changed else commit


def machine() -> dict[str, str | int]:
    """Describe the processor and the interpreter."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "python": platform.python_version(),
        "platform": platform.system() + "-" + platform.machine(),
    }


def command_line(arguments: Sequence[str]) -> str:
    """Return a command line that a shell reads back the same.

    Example:
        >>> command_line(["/usr/bin/vizsla", "evaluate", "my run"])
        "vizsla evaluate 'my run'"
    """
    program = Path(arguments[0]).name if arguments else "python"
    return shlex.join(["vizsla" if program == "__main__.py" else program, *arguments[1:]])


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_LIMIT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _cpu_name() -> str:
    if _CPU_FILE.is_file():
        for line in _CPU_FILE.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
