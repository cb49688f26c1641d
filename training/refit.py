"""Training once more on everything: what validation has decided stays, its data is learned from."""

from __future__ import annotations

from pathlib import Path

from training.gate import GateReport
from training.loop_settings import NEVER
from training.recipe import Recipe
from training.run_folder import RunFile, RunResult, read_run
from training.splits import SplitSpec
from vizsla.contracts.features import DatasetManifest
from vizsla.errors import UsageError

__all__ = ["refit_gate", "refit_recipe", "refit_spec", "source_run"]


def source_run(folder: Path, manifest: DatasetManifest) -> tuple[RunFile, RunResult]:
    """Read the finished run whose choices are taken.

    Raises:
        UsageError: It is no run, not finished, on other data, a fork, or a refit itself.
    """
    run = read_run(folder)
    if run is None or run.result is None:
        raise UsageError(f"--refit {folder}: no finished run of `vizsla train` there")
    if run.content_hash != manifest.content_hash:
        raise UsageError(f"--refit {folder}: a run on other data ({run.dataset})")
    if run.refit is not None or run.warm_start is not None:
        kind = "a refit itself" if run.refit is not None else "a fork of another run's stage 1"
        raise UsageError(f"--refit {folder}: {kind}: give a run that trained all its stages")
    if run.result.epochs is None:
        raise UsageError(f"--refit {folder}: does not say which epochs were best: train it again")
    return run, run.result


def refit_recipe(run: RunFile, result: RunResult) -> Recipe:
    """Return the run's recipe with as many epochs as were best, each at the rate that it had."""
    recipe = Recipe.model_validate(run.recipe)
    stages = {
        f"stage{number}": stage.model_copy(
            update={
                "epochs": epochs,
                "schedule_epochs": stage.epochs,
                "patience": 0,
                "validate_every": NEVER,
            }
        )
        for number, (stage, epochs) in enumerate(
            zip(recipe.stages, result.epochs or (), strict=True), start=1
        )
    }
    return recipe.model_copy(update=stages)


def refit_spec(run: RunFile) -> SplitSpec:
    """Return the run's split, with validation given to training."""
    return SplitSpec.model_validate(run.split).model_copy(update={"refit": True})


def refit_gate(result: RunResult) -> GateReport:
    """Return what the gate said of the run whose choices were taken: there is nothing left to ask."""
    return GateReport(result.figures, result.gate, result.publishable)
