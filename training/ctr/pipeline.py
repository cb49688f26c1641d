"""From a frame to an exported ranker: what ``vizsla train --recipe ranker`` does.

::

    run.json           what the run was started with
    fields/            encoders, fitted on the training rows
    encoded/           codes of splits that are too large for memory; gone when the run is finished
    checkpoint/        where to go on from; gone when the run is finished
    ranker/            the exported ranker
    schema.json        its fields and widths
    importance.*       what every field is worth, as JSON, page and picture
    result.json        figures, also of every epoch
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.ctr.calibration.choose import choose
from training.ctr.encoding import StoppedError, encode_frame
from training.ctr.exporting import Trained, export
from training.ctr.judging import judge
from training.ctr.loop import train_ranker
from training.ctr.opening import RESULT, RunKind, opened
from training.ctr.predicting import predict, raw_logits
from training.ctr.recipe import RankerRecipe
from training.ctr.report import describe, shuffle_fields, write_importance
from training.ctr.request import FrameRequest
from training.ctr.uncertainty.measured import measure_uncertainty
from training.determinism import torch_threads
from training.recipe import recipe_table, validated_recipe
from vizsla.cli_output import progress, say
from vizsla.config import default_threads
from vizsla.contracts.features import FrameSplit
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import Frame, read_frame
from vizsla.datasets.frames.storage import SPLITS
from vizsla.errors import ConfigError, IncompatibleArtifactError
from vizsla.fields import EncodedRows
from vizsla.fields.encoders import FieldEncoders
from vizsla.files import write_text
from vizsla.models.ranker import Ranker
from vizsla.models.ranker.calibration import Calibration

__all__ = ["RankerResult", "RankerRun", "train_on_frame"]

RANKER = "ranker"


class RankerResult(BaseModel):
    """What a finished run gave.

    Attributes:
        ranker: Folder of the exported ranker, relative to the run's.
        content_hash: Of the exported ranker.
        figures: By split (``valid``, ``test``, ``valid.cold``, ``test.cold``) and name.
        selected_by: Validation figure that chose the epoch.
        history: Of all epochs.
        table_parameters: Entries of the embedding tables.
        parameters: All weights, those tables included.
        rows_per_s: Training rows per second, mean over the epochs.
        train_s: Seconds from start (or resume) to the end of training.
        uncertainty_s: Seconds that its uncertainty took; None where none was fitted.
        no_uncertainty: Why the ranker cannot say how unsure it is; None where it can.
        encode_s: Seconds before it, for encoders and codes; 0 in results of older versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ranker: str
    content_hash: str
    figures: dict[str, dict[str, float]]
    selected_by: str | None
    history: list[dict[str, float]]
    table_parameters: int
    parameters: int
    rows_per_s: float
    train_s: float
    uncertainty_s: float | None = None
    no_uncertainty: str | None = None
    encode_s: float = 0.0


KIND = RunKind("ranker", RankerResult, made=("fields", "encoded", RANKER))


@dataclass(frozen=True, slots=True)
class RankerRun:
    """A finished run; ``reused`` where the folder held it already."""

    recipe: RankerRecipe
    result: RankerResult
    reused: bool


def train_on_frame(request: FrameRequest) -> RankerRun | None:
    """Train, judge and export; None when asked to stop, with a checkpoint to resume from.

    Raises:
        UsageError: The folder holds another run, or an unfinished one.
        ConfigError: A wrong recipe setting, or a model that does not suit the frame.
        DataError: The frame has one class alone.
        TrainingError: The loss diverged.
    """
    table = recipe_table(request.recipe, (), request.assignments)
    recipe = validated_recipe(RankerRecipe, table)
    frame = read_frame(request.frame_dir)
    done = opened(KIND, request, recipe, frame)
    if done is not None:
        return RankerRun(recipe, done, reused=True)
    try:
        with torch_threads(request.threads or default_threads()):
            result = _train(request, recipe, frame)
    except StoppedError:
        return None
    write_text(request.out / RESULT, result.model_dump_json(indent=2) + "\n")
    for name in ("checkpoint", "encoded"):
        shutil.rmtree(request.out / name, ignore_errors=True)
    return RankerRun(recipe, result, reused=False)


def _train(request: FrameRequest, recipe: RankerRecipe, frame: Frame) -> RankerResult:
    opened_s = request.clock.monotonic_s()
    encoders, rows = encode_frame(
        frame, request.out, SPLITS, recipe.buffer_rows, request.should_stop, request.reader
    )
    schema = _schema(recipe, frame, encoders)
    started_s = request.clock.monotonic_s()
    total = len(rows["train"]) * recipe.epochs
    with progress(f"training {recipe.model}", total, "rows") as bar:
        trained = train_ranker(
            schema,
            rows["train"],
            rows["valid"],
            recipe,
            request.seed,
            progress=bar,
            should_stop=request.should_stop,
            folder=request.out / "checkpoint",
            clock=request.clock,
        )
    if trained.stopped:
        raise StoppedError
    train_s = request.clock.monotonic_s() - started_s
    if trained.selected_by is None:
        say("validation has no row: the last epoch is kept")
    elif trained.selected_by != recipe.metric:
        say(f"validation has no {recipe.metric}: the epoch is chosen by {trained.selected_by}")
    logits = {split: _logits(request, trained.ranker, rows[split]) for split in SPLITS[1:]}
    figures = judge(logits, rows)
    calibration = _calibrated(logits["valid"], rows["valid"], frame, request.seed)
    done = Trained(trained.ranker, recipe, frame, encoders, figures, calibration)
    explained = _explained(request, rows, done)
    shutil.rmtree(request.out / RANKER, ignore_errors=True)  # of a run killed before its result
    exported = export(request.out / RANKER, explained.trained)
    write_text(request.out / "schema.json", schema.model_dump_json(indent=1) + "\n")
    speeds = [one["rows_per_s"] for one in trained.history]
    return RankerResult(
        ranker=RANKER,
        content_hash=exported.manifest.content_hash,
        figures=figures,
        selected_by=trained.selected_by,
        history=trained.history,
        table_parameters=sum(p.numel() for p in trained.ranker.embeddings.parameters()),
        parameters=sum(p.numel() for p in trained.ranker.parameters()),
        rows_per_s=sum(speeds) / len(speeds),
        train_s=train_s,
        encode_s=started_s - opened_s,
        uncertainty_s=explained.uncertainty_s,
        no_uncertainty=explained.no_uncertainty,
    )


@dataclass(frozen=True, slots=True)
class _Explained:
    """A ranker with its uncertainty and what its fields are worth; see ``RankerResult``."""

    trained: Trained
    uncertainty_s: float | None
    no_uncertainty: str | None


def _explained(
    request: FrameRequest, rows: Mapping[FrameSplit, EncodedRows], done: Trained
) -> _Explained:
    importance = _described(request, done.ranker, rows["valid"])
    write_importance(request.out, importance)
    done = replace(done, importance=importance)
    started_s = request.clock.monotonic_s()
    curve = done.calibration or Calibration()
    found = measure_uncertainty(done.ranker, rows, curve, request.should_stop)
    _ask(request)
    if isinstance(found, str):
        return _Explained(done, None, found)
    spent_s = request.clock.monotonic_s() - started_s
    return _Explained(replace(done, uncertainty=found), spent_s, None)


def _ask(request: FrameRequest) -> None:
    """Let somebody stop between the steps after training, to be resumed from its last epoch."""
    if request.should_stop():
        raise StoppedError


def _logits(request: FrameRequest, ranker: Ranker, rows: EncodedRows) -> NDArray[np.float32]:
    _ask(request)
    return raw_logits(ranker, rows)


def _calibrated(
    logits: NDArray[np.float32], valid: EncodedRows, frame: Frame, seed: int
) -> Calibration | None:
    """Choose the curve of the probabilities on validation rows, and say which, or why none."""
    assert valid.labels is not None
    ratio = frame.manifest.negative_ratio
    choice = choose(logits, valid.labels, weights=valid.weights, seed=seed, negative_ratio=ratio)
    say(choice.note or f"calibrated on validation by the curve {choice.calibration.curve.type}")
    return None if choice.note else choice.calibration


def _described(request: FrameRequest, ranker: Ranker, valid: EncodedRows) -> ImportanceReport:
    """Measure what every field is worth, by shuffling it among validation rows where there are any."""
    schema = ranker.schema
    names = [one.spec.name for one in schema.kept] if len(valid) else []

    def scored(rows: EncodedRows) -> NDArray[np.float32]:
        _ask(request)
        return predict(ranker, rows)

    with progress("shuffling fields", len(names), "fields") as bar:
        found = (
            shuffle_fields(scored, valid, names, seed=request.seed, progress=bar) if names else None
        )
    return describe(schema, found)


def _schema(recipe: RankerRecipe, frame: Frame, encoders: FieldEncoders) -> RankingSchema:
    if not recipe.schema_file:
        return encoders.schema(frame.manifest, recipe.dim)
    path = Path(recipe.schema_file)
    try:
        schema = RankingSchema.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"recipe setting 'schema_file': {path}: {reason}") from error
    if schema.vocabulary_hash != encoders.content_hash:
        raise IncompatibleArtifactError(
            f"{path}: made for frame {schema.frame!r}, whose values have other codes than those of "
            f"{frame.manifest.name!r}; search again on this frame"
        )
    return schema
