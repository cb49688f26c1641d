"""A run's folder: what it was started with, and what came of it.

::

    run.json          settings, seed and data of the run; its result once finished
    log.jsonl         what happened, step by step
    checkpoint/       where to go on from
    stage1.safetensors, ...                  weights after each stage
    bundles/<hash>/   the exported bundle; latest_bundle names it
    users.parquet     histories and features of the users
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from training.checkpoint import latest
from vizsla.contracts.bundle import GateCheck
from vizsla.errors import CorruptArtifactError, UsageError
from vizsla.files import write_text

__all__ = ["RunFile", "RunResult", "open_run", "read_run", "refuse_other", "write_run"]

RUN_FILE = "run.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunResult(_Frozen):
    """What a finished run gave.

    Attributes:
        bundle: Directory of the bundle, relative to the run's folder.
        publishable: Whether the gate was passed.
        gate: Its comparisons.
        figures: Mean validation figures by model.
        n_queries: Validation queries behind them.
        train_s: Seconds from start (or resume) to the end.
        epochs: Of each stage, after how many its weights were taken; None in older runs.
        share: Of the deep score, that was kept.
    """

    bundle: str
    publishable: bool
    gate: list[GateCheck]
    figures: dict[str, dict[str, float]]
    n_queries: int
    train_s: float
    epochs: list[int] | None = None
    share: float = 1.0


class RunFile(_Frozen):
    """Content of ``run.json``; everything but ``result`` must agree for a run to be taken up.

    Attributes:
        recipe: All settings of the recipe.
        seed: Of the run.
        dataset: Name of the dataset.
        content_hash: Of the dataset.
        split: How it was cut.
        warm_start: Folder whose first stage was taken, or None.
        refit: Folder of the run whose choices were taken, or None.
        result: None until the run is finished.
    """

    recipe: dict[str, Any]
    seed: int
    dataset: str
    content_hash: str
    split: dict[str, Any]
    warm_start: str | None = None
    refit: str | None = None
    result: RunResult | None = None


def read_run(out: Path) -> RunFile | None:
    """Read ``run.json``; None where there is none.

    Raises:
        CorruptArtifactError: It is not what we wrote.
    """
    path = out / RUN_FILE
    if not path.is_file():
        return None
    try:
        return RunFile.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise CorruptArtifactError(f"{path} is damaged; start again with --fresh") from error


def write_run(out: Path, run: RunFile) -> None:
    """Write ``run.json``."""
    write_text(out / RUN_FILE, json.dumps(run.model_dump(mode="json"), indent=2) + "\n")


def open_run(out: Path, wanted: RunFile, *, resume: bool, fresh: bool) -> RunResult | None:
    """Decide whether a folder can be used for a run, and prepare it.

    Args:
        out: The folder; may not exist.
        wanted: The run to be made, without a result.
        resume: Going on with an unfinished run is wanted.
        fresh: Starting again is wanted; bundles already exported stay.

    Returns:
        The result of the same run where it is finished already, otherwise None.

    Raises:
        UsageError: The folder holds another run, or an unfinished one and neither is wanted.
    """
    found = None if fresh else _begun(out)
    if fresh:
        _clear(out)
    if found is not None:
        refuse_other(out, found, wanted)
        if found.result is not None and (out / found.result.bundle).is_dir():
            return found.result
        if not resume:
            raise UsageError(f"{out} holds an unfinished run: go on with --resume, or use --fresh")
    out.mkdir(parents=True, exist_ok=True)
    write_run(out, wanted)
    return None


def _begun(out: Path) -> RunFile | None:
    """Read the run of a folder; one that has no checkpoint yet has nothing to lose."""
    found = read_run(out)
    empty = found is not None and found.result is None and latest(out / "checkpoint") is None
    return None if empty else found


def refuse_other(out: Path, found: RunFile, wanted: RunFile) -> None:
    """Check that a folder holds the run that is wanted.

    Raises:
        UsageError: It holds another one; names what differs.
    """
    names = _differences(found.model_dump(mode="json"), wanted.model_dump(mode="json"))
    if names:
        listed = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
        raise UsageError(
            f"{out} holds a different run ({listed}): choose another --out, or use --fresh"
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of what differs, apart from the result."""
    names = []
    for key in sorted(old.keys() | new.keys()):
        left, right = old.get(key), new.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            names += _differences(left, right, f"{prefix}{key}.")
        elif left != right and prefix + key != "result":
            names.append(prefix + key)
    return [name for name in names if not name.startswith("result.")]


def _clear(out: Path) -> None:
    shutil.rmtree(out / "checkpoint", ignore_errors=True)
    for path in (out / RUN_FILE, out / "log.jsonl", *out.glob("stage?.safetensors")):
        path.unlink(missing_ok=True)
