"""An environment for the rivals of the speed bench: what they pin clashes with what we pin.

RecBole wants NumPy 1 and an old Ray; it gets a virtual environment with exactly the packages of
``rivals/requirements.txt`` and our own version of torch (the CPU build), under Vizsla's home.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from vizsla.cli_output import Progress, progress, say
from vizsla.errors import VizslaError
from vizsla.files import write_text

__all__ = ["EnvironmentSpec", "RivalEnvironmentError", "rival_python", "speed_rivals"]

REQUIREMENTS = Path(__file__).with_name("rivals") / "requirements.txt"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
MARKER = "complete.json"
NOTE_LENGTH = 60


class RivalEnvironmentError(VizslaError):
    """The environment of the rivals could not be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What is installed.

    Attributes:
        name: Of the folder, before a hash of everything else.
        requirements: A requirements file that names every package; nothing else is resolved.
        attempts: Installed before it: arguments of ``pip install``, of which the first that
            succeeds will do.
    """

    name: str
    requirements: Path
    attempts: tuple[tuple[str, ...], ...] = ()

    @property
    def folder(self) -> str:
        """Name of the folder; another Python or other pins make another one."""
        pins = [sys.version, self.requirements.read_text(encoding="utf-8"), repr(self.attempts)]
        return f"{self.name}-{hashlib.sha256('|'.join(pins).encode()).hexdigest()[:12]}"


def speed_rivals() -> EnvironmentSpec:
    """Return the rivals of the speed bench, with our own version of torch.

    The CPU build of torch has an index of its own; the first try serves machines that mirror it.
    """
    torch = f"torch=={version('torch').partition('+')[0]}"
    if sys.platform == "linux":
        torch += "+cpu"
    attempts = ((torch,), ("--extra-index-url", TORCH_INDEX, torch))
    return EnvironmentSpec("speed", REQUIREMENTS, attempts)


def rival_python(root: Path, spec: EnvironmentSpec) -> Path:
    """Return the Python of an environment, which is made if it is not there.

    The marker is written last: a half-made environment has none, and is made again.

    Args:
        root: Folder of all such environments.
        spec: What is in it.

    Raises:
        RivalEnvironmentError: pip failed, for instance without a network.
    """
    folder = root / spec.folder
    python = folder / "bin" / "python"
    if (folder / MARKER).is_file():
        return python
    say(f"making {folder} for the rivals, once (about 250 MB to download, 1.3 GB on disk)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    steps = list(_steps(spec))
    with progress("environment of the rivals", total=1 + len(steps), unit="steps") as bar:
        _run([sys.executable, "-m", "venv", str(folder)], bar)
        bar.advance()
        for attempts in steps:
            _first_success(python, attempts, bar)
            bar.advance()
    write_text(folder / MARKER, json.dumps({"python": sys.version, "name": spec.name}) + "\n")
    return python


def _steps(spec: EnvironmentSpec) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Yield, for each thing to install, the ways to try."""
    if spec.attempts:
        yield spec.attempts
    yield (("--no-deps", "-r", str(spec.requirements)),)


def _first_success(python: Path, attempts: Sequence[Sequence[str]], bar: Progress) -> None:
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    for place, arguments in enumerate(attempts, start=1):
        try:
            _run([*pip, *arguments], bar)
        except RivalEnvironmentError:
            if place == len(attempts):
                raise
        else:
            return


def _run(command: Sequence[str], bar: Progress) -> None:
    """Run a command, its last line of output beside the bar."""
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            bar.note(line.strip()[:NOTE_LENGTH])
    if process.returncode:
        raise RivalEnvironmentError(
            f"the environment of the rivals could not be made ({_reason(lines)}): it needs the "
            "package index; connect, or set PIP_INDEX_URL to a mirror, and run the same again"
        )


def _reason(lines: Sequence[str]) -> str:
    """Return the line that tells most: pip's first error, else the last line."""
    errors = [line for line in lines if line.startswith("ERROR:")]
    told = errors or [line for line in lines if line][-1:] or ["no output"]
    return told[0].removeprefix("ERROR:").strip()
