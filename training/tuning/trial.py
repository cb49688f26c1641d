"""One trial of a search: a recipe with some settings changed, trained and validated.

::

    trials/0007/   a run's folder (checkpoint, log) and trial.json once the trial is done
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from training.data import Ragged, Split
from training.loop import figure
from training.metrics import evaluate_ranking
from training.model import check_recipe
from training.ranking import Head
from training.recipe import Recipe, load_recipe
from training.resuming import settle
from training.run_log import RunLog
from training.trainer import RunOptions, Trainer
from training.tuning.space import Space, draw
from training.validation import VALIDATION_KS, training_validator
from vizsla.errors import ConfigError, TrainingError, UsageError
from vizsla.files import write_text
from vizsla.models.recommender.base import Matcher

__all__ = [
    "Report",
    "Search",
    "TrialResult",
    "check_metric",
    "n_validations",
    "read_result",
    "run_trial",
    "settings_of",
    "trial_recipe",
    "write_result",
]

RESULT_FILE = "trial.json"

Report = Callable[[float, int], None]
"""Takes the metric's value and the number of validations so far; may never return."""


class Search(BaseModel):
    """What is searched, and where.

    Attributes:
        recipe: Name or file.
        kinds: Variants of the recipe that the data choose.
        assignments: Dotted setting to value, the same for all trials.
        space: What trials change.
        metric: Validation figure to maximise.
        seed: Of the draws and of every trial's training.
        n_trials: How many.
        grace: Validations before a trial may be stopped.
        content_hash: Of the dataset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    kinds: tuple[str, ...]
    assignments: dict[str, Any]
    space: Space
    metric: str = "recall_at_20"
    seed: int = 0
    n_trials: int
    grace: int = 3
    content_hash: str = ""


class TrialResult(BaseModel):
    """How a trial ended.

    Attributes:
        trial: Number from 0; 0 is the recipe as it is.
        state: Finished; stopped early, since others were better by then; or failed.
        value: Of the metric: at the end, or last seen.
        n_validations: So far.
        settings: What was drawn.
        reason: Why it failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: int
    state: Literal["finished", "stopped", "failed"]
    value: float | None = None
    n_validations: int = 0
    settings: dict[str, Any] = {}
    reason: str = ""


def trial_recipe(search: Search, trial: int) -> Recipe:
    """Return a trial's recipe.

    Raises:
        ConfigError: The settings do not go together.
    """
    drawn = draw(search.space, search.seed, trial)
    return load_recipe(search.recipe, search.kinds, search.assignments | drawn)


def settings_of(search: Search, trial: int) -> dict[str, Any]:
    """Return a trial's values of what is searched; trial 0 has the recipe's own.

    Raises:
        ConfigError: The recipe itself is wrong.
    """
    if trial:
        return draw(search.space, search.seed, trial)
    own = trial_recipe(search, 0).model_dump(mode="json")
    return {name: _at(own, name) for name in search.space}


def _at(table: Any, name: str) -> Any:
    """Return the value of a dotted key; None where it is not set."""
    for key in name.split("."):
        table = table.get(key) if isinstance(table, dict) else None
    return table


def check_metric(metric: str) -> None:
    """Refuse a metric that validation does not compute.

    Raises:
        ConfigError: Lists the known ones.
    """
    ranked = np.zeros((1, max(VALIDATION_KS)), np.int64)
    nothing = evaluate_ranking(ranked, Ragged.from_lists([[0]]), VALIDATION_KS)
    figure(dict.fromkeys((*nothing, "nll"), 0.0), metric)


def n_validations(recipes: Sequence[Recipe]) -> int:
    """Return the most validations that any of the recipes can come to, the final one included."""
    return 1 + max(
        sum(stage.epochs // stage.validate_every for stage in recipe.stages) for recipe in recipes
    )


def run_trial(search: Search, trial: int, split: Split, folder: Path, report: Report) -> None:
    """Train a trial, or go on with it.

    Every validation is reported, those before an interruption again, so that whoever
    compares trials knows all of each.  The process may be ended at any report: there is a
    checkpoint to go on from.  A trial whose settings are refused or whose loss diverges has
    failed, which is a result too.  Trial 0 reports its end alone: it is what the others are
    compared with, so nothing may stop it.

    Args:
        search: What is searched.
        trial: Number from 0.
        split: Only training part and validation are looked at.
        folder: Of the trial.
        report: Hears the validations and at last the final value.
    """
    result = read_result(folder)
    if result is None:
        settle(folder)
    on_the_way = report if trial else _silent
    values = _reported(folder, search.metric)
    for number, value in enumerate(values, start=1):
        on_the_way(value, number)
    if result is None:
        result = _train(search, trial, split, folder, on_the_way)
        write_result(folder, result)
    if result.state == "finished" and result.value is not None:
        report(result.value, result.n_validations)


def _silent(value: float, n_seen: int) -> None:
    """Report nothing."""


def _reported(folder: Path, metric: str) -> list[float]:
    """Return the metric at each validation in a trial's log."""
    records: list[dict[str, Any]] = RunLog(folder / "log.jsonl").read()
    return [figure(record, metric) for record in records if record["event"] == "validation"]


def _train(search: Search, trial: int, split: Split, folder: Path, report: Report) -> TrialResult:
    settings = settings_of(search, trial)
    done = partial(TrialResult, trial=trial, settings=settings)
    try:
        recipe = trial_recipe(search, trial)
        check_recipe(recipe, split)
        validate = training_validator(split, recipe.validation_queries, search.seed)

        def reporting(matcher: Matcher, head: Head) -> dict[str, float]:
            figures = validate(matcher, head)
            report(figure(figures, search.metric), len(_reported(folder, search.metric)) + 1)
            return figures

        options = RunOptions(out=folder, seed=search.seed, threads=1, resume=True)
        matcher = Trainer(recipe, split, options, reporting).run()
        assert matcher is not None
        value = figure(validate(matcher, _final_head(recipe)), search.metric)
    except (ConfigError, UsageError, TrainingError) as error:
        return done(state="failed", reason=str(error))
    n_seen = len(_reported(folder, search.metric)) + 1
    return done(state="finished", value=value, n_validations=n_seen)


def write_result(folder: Path, result: TrialResult) -> None:
    """Write how a trial ended."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RESULT_FILE, result.model_dump_json(indent=2) + "\n")


def read_result(folder: Path) -> TrialResult | None:
    """Read how a trial ended; None where it has not."""
    path = folder / RESULT_FILE
    return TrialResult.model_validate_json(path.read_text("utf-8")) if path.is_file() else None


def _final_head(recipe: Recipe) -> Head:
    return "deep" if any(stage.epochs and stage.is_deep for stage in recipe.stages) else "two_sided"
