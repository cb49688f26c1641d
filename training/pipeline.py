"""From a dataset directory to a judged and exported bundle: what ``vizsla train`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from training import checkpoint, gate, refit
from training.data import Split
from training.distributed.launch import Workers, train_on_workers, with_shards
from training.distributed.worker import Job
from training.export import Trained, export_bundle
from training.gate import GateReport
from training.model import check_recipe, data_kinds, model_config, new_matcher
from training.recipe import Recipe, load_recipe
from training.resuming import newest_matcher
from training.run_folder import RunFile, RunResult, open_run, write_run
from training.shrink import ShrinksDeep, fit_share
from training.splits import SplitSpec, default_spec, load_split
from training.trainer import RunOptions, Trainer, stage_file
from training.validation import (
    Validator,
    ranking_validator,
    training_validator,
    validation_cases,
)
from vizsla.cli_output import say
from vizsla.clock import Clock, SystemClock
from vizsla.config import default_threads
from vizsla.contracts.features import DatasetManifest
from vizsla.datasets import read_manifest
from vizsla.errors import UsageError
from vizsla.models.recommender.base import Matcher

__all__ = ["TrainRequest", "TrainedRun", "train_bundle"]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the user asked for.

    Attributes:
        recipe: Name or file.
        dataset_dir: The data.
        out: The run's folder.
        seed: Fixes everything random.
        assignments: Dotted recipe setting to value.
        threads: Torch threads; 0 for what ``OMP_NUM_THREADS`` says, else one per core.
        resume: Go on with an unfinished run.
        fresh: Start again in a folder that holds a run.
        warm_start: Folder of another run whose first stage is taken.
        refit: Folder of a finished run whose choices are taken to train on validation too.
        should_stop: Asked after every step.
        on_trained: Called when the last weights are in a checkpoint, before the run is judged.
        clock: Tells the time.
        workers: Processes under Ray to train on; None trains in this one.
    """

    recipe: str
    dataset_dir: Path
    out: Path
    seed: int = 0
    assignments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 0
    resume: bool = False
    fresh: bool = False
    warm_start: Path | None = None
    refit: Path | None = None
    should_stop: Callable[[], bool] = lambda: False
    on_trained: Callable[[], None] = lambda: None
    clock: Clock = field(default_factory=SystemClock)
    workers: Workers | None = None


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A finished run.

    Attributes:
        recipe: With its variants and settings applied.
        result: What came of it.
        bundle_dir: The exported bundle.
        reused: Whether the folder held it already.
    """

    recipe: Recipe
    result: RunResult
    bundle_dir: Path
    reused: bool


def train_bundle(request: TrainRequest) -> TrainedRun | None:
    """Train, judge and export; None when asked to stop, with a checkpoint to resume from.

    Raises:
        UsageError: The folder holds another run, or an unfinished one.
        ConfigError: A wrong recipe setting.
        TrainingError: The loss diverged.
    """
    recipe, split = _load(request)
    wanted = _run_file(request, recipe, split)
    check_recipe(recipe, split)
    done = open_run(request.out, wanted, resume=request.resume, fresh=request.fresh)
    if done is not None:
        return TrainedRun(recipe, done, request.out / done.bundle, reused=True)
    started_s = request.clock.monotonic_s()
    result = _train(request, recipe, split)
    if result is None:
        return None
    result = result.model_copy(update={"train_s": request.clock.monotonic_s() - started_s})
    write_run(request.out, wanted.model_copy(update={"result": result}))
    return TrainedRun(recipe, result, request.out / result.bundle, reused=False)


def _load(request: TrainRequest) -> tuple[Recipe, Split]:
    """Read the recipe for this kind of data, and cut the data as the recipe wants it."""
    manifest = read_manifest(request.dataset_dir)
    if request.refit is not None:
        return _load_refit(request, request.refit, manifest)
    recipe = load_recipe(request.recipe, data_kinds(manifest), request.assignments)
    if request.workers is not None:
        recipe = with_shards(recipe, request.workers.n_workers)
    spec = default_spec(manifest).model_copy(update={"max_history": recipe.max_history})
    return recipe, load_split(request.dataset_dir, spec)


def _load_refit(
    request: TrainRequest, folder: Path, manifest: DatasetManifest
) -> tuple[Recipe, Split]:
    if request.assignments or request.warm_start is not None:
        raise UsageError(
            "--refit takes all settings from the run: leave out --set and --warm-start"
        )
    run, result = refit.source_run(folder, manifest)
    recipe = refit.refit_recipe(run, result)
    if request.workers is not None:
        recipe = with_shards(recipe, request.workers.n_workers)
    return recipe, load_split(request.dataset_dir, refit.refit_spec(run))


def _run_file(request: TrainRequest, recipe: Recipe, split: Split) -> RunFile:
    warm = request.warm_start
    return RunFile(
        recipe=recipe.model_dump(mode="json"),
        seed=request.seed,
        dataset=split.name,
        content_hash=split.content_hash,
        split=split.spec,
        warm_start=None if warm is None else str(warm.resolve()),
        refit=None if request.refit is None else str(request.refit.resolve()),
    )


def _train(request: TrainRequest, recipe: Recipe, split: Split) -> RunResult | None:
    train = _train_here if request.workers is None else _train_on_workers
    matcher = train(request, recipe, split)
    if matcher is None:
        return None
    request.on_trained()
    return _finish(request, recipe, split, matcher)


def _train_here(request: TrainRequest, recipe: Recipe, split: Split) -> Matcher | None:
    options = RunOptions(
        out=request.out,
        seed=request.seed,
        threads=request.threads or default_threads(),
        resume=request.resume,
        warm_start=request.warm_start,
        should_stop=request.should_stop,
        clock=request.clock,
    )
    validate = training_validator(split, recipe.validation_queries, request.seed)
    return Trainer(recipe, split, options, validate).run()


def _train_on_workers(request: TrainRequest, recipe: Recipe, split: Split) -> Matcher | None:
    assert request.workers is not None
    job = Job(
        recipe=recipe,
        dataset_dir=request.dataset_dir.resolve(),
        split=SplitSpec.model_validate(split.spec),
        out=request.out.resolve(),
        seed=request.seed,
        threads=request.threads or 1,
        warm_start=request.warm_start and request.warm_start.resolve(),
    )
    if not train_on_workers(job, request.workers, request.should_stop):
        return None
    return newest_matcher(recipe, split, request.seed, request.out)


def _finish(request: TrainRequest, recipe: Recipe, split: Split, matcher: Matcher) -> RunResult:
    if request.refit is None:
        share, report, n_queries = _judge(request, recipe, split, matcher)
    else:
        _, source = refit.source_run(request.refit, read_manifest(request.dataset_dir))
        share, report, n_queries = source.share, refit.refit_gate(source), source.n_queries
        if isinstance(matcher, ShrinksDeep) and recipe.stage2.epochs:
            matcher.scale_deep(share)
    config = model_config(recipe, split)
    trained = Trained(matcher, config, recipe, request.seed, split, report)
    bundle = export_bundle(trained, request.out, request.clock)
    return RunResult(
        bundle=str(bundle.path.relative_to(request.out)),
        publishable=report.publishable,
        gate=report.checks,
        figures=report.figures,
        n_queries=n_queries,
        train_s=0.0,
        epochs=_best_epochs(request.out, len(recipe.stages)),
        share=share,
    )


def _judge(
    request: TrainRequest, recipe: Recipe, split: Split, matcher: Matcher
) -> tuple[float, GateReport, int]:
    """Fit the share of the deep score and ask the gate; also return the number of its queries."""
    share = 1.0
    if recipe.stage2.epochs:
        some = validation_cases(split, recipe.validation_queries, request.seed)
        share = _shrink(matcher, ranking_validator(split, some))
    cases = validation_cases(split, recipe.gate_queries, request.seed)
    two_sided = _stage1_model(request, recipe, split)
    report = gate.judge(matcher, two_sided, split, cases, request.seed)
    return share, report, len(cases.targets)


def _best_epochs(out: Path, n_stages: int) -> list[int]:
    """Return after how many epochs of each stage its weights were taken; 0 for one not trained."""
    newest = checkpoint.load_latest(out / "checkpoint")
    results = newest.state["results"] if newest is not None else []
    epochs = [int(result["epoch"]) for result in results]
    return epochs + [0] * (n_stages - len(epochs))


def _shrink(matcher: Matcher, validate: Validator) -> float:
    """Keep as much of the deep score as makes validation's targets likeliest, 0 if none helps."""
    if not isinstance(matcher, ShrinksDeep):
        return 1.0
    share = fit_share(
        matcher,
        lambda: -validate(matcher, "deep")["nll"],
        without=-validate(matcher, "two_sided")["nll"],
    )
    say(f"share of the deep score that is kept, fitted on validation: {share:g}")
    if not share:
        say("the deep score adds nothing here: --set model=two_sided serves the same more cheaply")
    return share


def _stage1_model(request: TrainRequest, recipe: Recipe, split: Split) -> Matcher | None:
    """Load the model as it was when its two-sided head had been trained alone."""
    path = stage_file(request.out, 0)
    both = recipe.stage2.epochs and (recipe.stage1.epochs or request.warm_start)
    if not both or not path.is_file():
        return None
    matcher = new_matcher(recipe, split, request.seed)
    matcher.load_state_dict(load_file(path))
    return matcher.eval()
