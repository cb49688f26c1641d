"""A run's folder on a frame: whether it holds this very run, finished or begun."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from training.ctr.encoding import forget_encoded
from training.ctr.request import FrameRequest
from training.run_folder import RunFile, open_run, read_run, refuse_other
from vizsla.datasets.frames import Frame
from vizsla.errors import CorruptArtifactError

__all__ = ["RESULT", "RunKind", "opened"]

RESULT = "result.json"

Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RunKind(Generic[Result]):
    """What runs of a recipe's kind leave in their folder.

    Attributes:
        name: Of the kind.
        result: What ``result.json`` holds.
        begun: File that a run has before its end and that another run must not take up; empty
            for none.
        made: Everything else that starting again removes.
    """

    name: str
    result: type[Result]
    begun: str = ""
    made: tuple[str, ...] = ()


def opened(
    kind: RunKind[Result], request: FrameRequest, recipe: BaseModel, frame: Frame
) -> Result | None:
    """Prepare the run's folder; return the result where it holds this very run, finished.

    Raises:
        UsageError: It holds another run, or an unfinished one and neither resuming nor starting
            again is wanted.
        CorruptArtifactError: Its files are not what we wrote.
    """
    out = request.out
    wanted = RunFile(
        recipe=recipe.model_dump(mode="json") | {"kind": kind.name},
        seed=request.seed,
        dataset=frame.manifest.name,
        content_hash=frame.manifest.content_hash,
        split={},
    )
    if request.fresh:
        _clear(out, kind)
    found = None if request.fresh else read_run(out)
    finished = (out / RESULT).is_file()
    if found is not None and (finished or (kind.begun and (out / kind.begun).is_file())):
        refuse_other(out, found, wanted)
        if finished:
            return _read(out / RESULT, kind.result)
    open_run(out, wanted, resume=request.resume, fresh=request.fresh)
    if found is not None and found.content_hash != wanted.content_hash:
        forget_encoded(out)  # of a run on other data that was stopped before its first checkpoint
    return None


def _clear(out: Path, kind: RunKind[Result]) -> None:
    for name in filter(None, (RESULT, kind.begun, *kind.made)):
        if (out / name).is_dir():
            shutil.rmtree(out / name, ignore_errors=True)
        else:
            (out / name).unlink(missing_ok=True)


def _read(path: Path, kind: type[Result]) -> Result:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorruptArtifactError(f"{path} is damaged; start again with --fresh") from error
