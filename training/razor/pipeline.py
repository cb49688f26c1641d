"""From a frame to a pruned ranker: what ``vizsla train --recipe razor`` does.

::

    run.json          what the run was started with
    fields/           encoders, fitted on the training rows
    search.json       how likely each region of each field is; cut it again at will
    schema.json       what was kept
    full/             a run of kind ``ranker`` with everything, unless compare = false
    pruned/           a run of kind ``ranker`` with what was kept, and why (importance.*)
    result.json       both, side by side
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from training.ctr.encoding import StoppedError, encode_frame
from training.ctr.opening import RESULT, RunKind, opened
from training.ctr.pipeline import RankerResult, train_on_frame
from training.ctr.report import importance
from training.ctr.request import FrameRequest
from training.determinism import torch_threads
from training.razor.prune import prune
from training.razor.recipe import RazorRecipe
from training.razor.result import SearchResult
from training.razor.search import search
from training.recipe import recipe_table, validated_recipe
from vizsla.cli_output import progress
from vizsla.config import default_threads
from vizsla.contracts.importance import FieldImportance
from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import Frame, read_frame
from vizsla.files import atomic_directory, write_text

__all__ = ["RazorResult", "RazorRun", "train_razor"]

SEARCH, SCHEMA = "search.json", "schema.json"


class RazorResult(BaseModel):
    """What a finished run gave.

    Attributes:
        pruned: The ranker of what was kept.
        full: The one of everything; None where it was not trained.
        fields: What became of each field.
        threshold: At which the search was cut.
        search_s: Seconds of the search.
        search_steps: Its steps.
        full_parameters: Table entries of the full model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pruned: RankerResult
    full: RankerResult | None
    fields: list[FieldImportance]
    threshold: float
    search_s: float
    search_steps: int
    full_parameters: int


KIND = RunKind(
    "razor", RazorResult, begun=SEARCH, made=(SCHEMA, "fields", "encoded", "full", "pruned")
)


@dataclass(frozen=True, slots=True)
class RazorRun:
    """A finished run; ``reused`` where the folder held it already."""

    recipe: RazorRecipe
    result: RazorResult
    reused: bool


def train_razor(request: FrameRequest) -> RazorRun | None:
    """Search, prune, retrain and compare; None when asked to stop, to be resumed.

    Raises:
        UsageError: The folder holds another run or an unfinished one, or nothing is left of
            the fields.
        ConfigError: A wrong recipe setting.
        DataError: The frame has one class alone.
        TrainingError: The loss diverged.
    """
    table = recipe_table(request.recipe, (), request.assignments)
    recipe = validated_recipe(RazorRecipe, table)
    frame = read_frame(request.frame_dir)
    done = opened(KIND, request, recipe, frame)
    if done is not None:
        return RazorRun(recipe, done, reused=True)
    try:
        with torch_threads(request.threads or default_threads()):
            found = _searched(request, recipe, frame)
    except StoppedError:
        return None
    schema = prune(found, recipe.razor.cut)
    _write(request.out, schema)
    result = _trained(request, recipe, found, schema)
    if result is None:
        return None
    write_text(request.out / RESULT, result.model_dump_json(indent=2) + "\n")
    return RazorRun(recipe, result, reused=False)


def _searched(request: FrameRequest, recipe: RazorRecipe, frame: Frame) -> SearchResult:
    """Return the search of this run; a finished one is not made again."""
    path = request.out / SEARCH
    if path.is_file():
        return SearchResult.load(path)
    encoders, rows = encode_frame(
        frame, request.out, ("train",), recipe.buffer_rows, request.should_stop, request.reader
    )
    options = recipe.razor.search
    schema = encoders.schema(frame.manifest, options.widths[-1])
    with progress("searching", unit="steps") as bar:

        def stepped(done: int, total: int) -> None:
            bar.advance()
            if request.should_stop():
                raise StoppedError

        found = search(schema, rows["train"], options, request.seed, progress=stepped)
    found.save(path)
    shutil.rmtree(request.out / "encoded", ignore_errors=True)
    return found


def _write(out: Path, schema: RankingSchema) -> None:
    write_text(out / SCHEMA, schema.model_dump_json(indent=1) + "\n")


def _trained(
    request: FrameRequest, recipe: RazorRecipe, found: SearchResult, schema: RankingSchema
) -> RazorResult | None:
    full = None
    if recipe.compare:
        full = _ranker(request, "full", recipe.ranker(dim=recipe.razor.widths[-1]))
        if full is None:
            return None
    path = str(request.out / SCHEMA)
    pruned = _ranker(request, "pruned", recipe.ranker(schema_file=path))
    if pruned is None:
        return None
    return RazorResult(
        pruned=pruned,
        full=full,
        fields=importance(schema),
        threshold=schema.search.settings["threshold"],
        search_s=found.search_s,
        search_steps=found.n_steps,
        full_parameters=found.schema_full.n_parameters,
    )


def _ranker(request: FrameRequest, name: str, settings: dict[str, Any]) -> RankerResult | None:
    """Train one ranker in a folder of its own, with the encoders of this run."""
    out = request.out / name
    if not (out / "fields").is_dir():
        with atomic_directory(out / "fields") as copied:
            shutil.copytree(request.out / "fields", copied, dirs_exist_ok=True)
    run = train_on_frame(
        replace(request, recipe="ranker", out=out, assignments=settings, fresh=False, resume=True)
    )
    return None if run is None else run.result
