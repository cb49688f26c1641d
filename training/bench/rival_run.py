"""Runs ``rivals/drive.py`` in its own environment and reads what it measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.bench.rivals.drive import Job
from vizsla.errors import TrainingError

__all__ = ["EpochTime", "Pairs", "run_driver", "run_rival"]

DRIVER = Path(__file__).with_name("rivals") / "drive.py"


class Pairs(NamedTuple):
    """Training pairs, ``(E,)`` int64 each; no pair twice."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]


class EpochTime(NamedTuple):
    """One pass over the pairs, or over the first batches of it.

    Attributes:
        seconds: Of training alone, negatives and shuffling included.
        interactions: Positives trained on.
        loss: Mean over the steps.
        version: Of the library.
    """

    seconds: float
    interactions: int
    loss: float
    version: str = ""

    @property
    def rate(self) -> float:
        """Interactions per second."""
        return self.interactions / max(self.seconds, 1e-9)


def run_rival(python: Path, job: Job, pairs: Pairs, driver: Path = DRIVER) -> list[EpochTime]:
    """Train in a process of its own, in a folder that is removed again.

    Args:
        python: Of the environment of the rivals.
        job: What to train; its ``pairs`` is filled in here.
        pairs: Written where the driver reads them.
        driver: The script.

    Raises:
        TrainingError: The driver failed; the message holds its last line.
    """
    with TemporaryDirectory(prefix="vizsla-rival-") as name:
        folder = Path(name)
        np.savez(folder / "pairs.npz", **pairs._asdict())
        settings = asdict(job) | {"pairs": str(folder / "pairs.npz")}
        told = run_driver(python, driver, settings, folder, f"{job.system} ({job.model})")
    return read_epochs(told.splitlines())


def run_driver(python: Path, driver: Path, job: Mapping[str, Any], folder: Path, name: str) -> str:
    """Run a script on a job in a process of its own.

    Args:
        python: Of the environment of the rivals.
        driver: The script; it is given ``job.json``.
        job: JSON-able.
        folder: Where it works.
        name: What errors call it.

    Returns:
        What it wrote to stdout.

    Raises:
        TrainingError: It failed; the message holds its last line.
    """
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [str(python), "-W", "ignore", str(driver.resolve()), "job.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["no output"]
        raise TrainingError(f"{name} failed: {told[-1]}")
    return done.stdout


def read_epochs(lines: Sequence[str]) -> list[EpochTime]:
    """Read the driver's lines.

    Example:
        >>> line = '{"epoch": 0, "seconds": 2.0, "interactions": 8, "loss": 0.7, "version": "x 1"}'
        >>> read_epochs([line])[0].rate
        4.0
    """
    rows = [json.loads(line) for line in lines]
    return [EpochTime(*(row[name] for name in EpochTime._fields)) for row in rows]
