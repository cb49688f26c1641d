"""Runs the trials of a search under Ray Tune, the hopeless ones stopped early."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.distributed.background import watched
from training.distributed.cluster import LOCAL, ray_cluster
from training.splits import SplitSpec, load_split
from training.tuning.outcome import trial_folder
from training.tuning.trial import (
    Search,
    TrialResult,
    n_validations,
    read_result,
    run_trial,
    settings_of,
    trial_recipe,
    write_result,
)
from vizsla.cli_output import Progress, format_cell, progress, say
from vizsla.errors import VizslaError

if TYPE_CHECKING:
    from ray.tune import Callback, Tuner
    from ray.tune.experiment import Trial

__all__ = ["run_trials"]

_VALUE, _SEEN, _TRIAL = "value", "validations", "trial"
_MAX_FAILURES = 3
"""How often the process of a trial may die."""


def run_trials(
    search: Search,
    dataset_dir: Path,
    spec: SplitSpec,
    out: Path,
    concurrent: int,
    should_stop: Callable[[], bool],
) -> bool:
    """Run all trials that are not done, one core each.

    Asynchronous successive halving (ASHA) ends a trial when others were better after as many
    validations; never trial 0, the recipe as it is.  Trials go on from their own checkpoints and report their past again, so a
    search goes on from its folder alone; Ray's own record of it, a pickle, is not kept.

    Args:
        search: What is searched.
        dataset_dir: The data.
        spec: How they are cut.
        out: Folder of the search.
        concurrent: Trials at a time.
        should_stop: Asked a few times per second.

    Returns:
        Whether all trials are done; False when it was asked to stop.
    """
    storage = tempfile.mkdtemp(prefix="ray-", dir=out)
    try:
        with (
            ray_cluster(LOCAL, concurrent),
            progress("trials", total=search.n_trials, unit="trials") as bar,
            redirect_stdout(io.StringIO()),  # Ray's own tables
        ):
            trainable = _trainable(search, dataset_dir.resolve(), spec, out.resolve())
            tuner = _tuner(trainable, search, concurrent, storage, _teller(search, out, bar))
            return watched(tuner.fit, should_stop) is not None
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _trainable(
    search: Search, dataset_dir: Path, spec: SplitSpec, out: Path
) -> Callable[[dict[str, Any]], None]:
    """Make what runs in a trial's process."""
    told = search.model_dump(mode="json")

    def train(config: dict[str, Any]) -> None:
        from ray import tune

        def report(value: float, n_seen: int) -> None:
            tune.report({_VALUE: value, _SEEN: n_seen})

        trial = config[_TRIAL]
        own = Search.model_validate(told)
        split = load_split(dataset_dir, spec)
        run_trial(own, trial, split, trial_folder(out, trial), report)

    return train


def _tuner(
    trainable: Callable[[dict[str, Any]], None],
    search: Search,
    concurrent: int,
    storage: str,
    teller: Callback,
) -> Tuner:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    longest = n_validations(_recipes(search))
    scheduler = ASHAScheduler(
        time_attr=_SEEN,
        max_t=max(longest, search.grace),
        grace_period=search.grace,
        reduction_factor=2,
        stop_last_trials=False,
    )
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={_TRIAL: tune.grid_search(list(range(search.n_trials)))},
        tune_config=tune.TuneConfig(
            metric=_VALUE, mode="max", scheduler=scheduler, max_concurrent_trials=concurrent
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=storage,
            verbose=0,
            callbacks=[teller],
            failure_config=tune.FailureConfig(max_failures=_MAX_FAILURES),
        ),
    )


def _recipes(search: Search) -> list[Any]:
    """Return the recipes of the trials whose settings go together."""
    found = []
    for trial in range(search.n_trials):
        try:
            found.append(trial_recipe(search, trial))
        except VizslaError:
            continue
    return found


def _teller(search: Search, out: Path, bar: Progress) -> Callback:
    """Make what hears of the ends of trials; one that was stopped early has not written its own."""
    from ray.tune import Callback

    class Teller(Callback):  # type: ignore[misc]
        def on_trial_complete(
            self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
        ) -> None:
            number, last = trial.config[_TRIAL], trial.last_result or {}
            folder = trial_folder(out, number)
            result = read_result(folder)
            if result is None:
                result = TrialResult(
                    trial=number,
                    state="stopped",
                    value=last.get(_VALUE),
                    n_validations=last.get(_SEEN, 0),
                    settings=settings_of(search, number),
                )
                write_result(folder, result)
            bar.advance()
            say(_line(search, result))

    return Teller()


def _line(search: Search, result: TrialResult) -> str:
    """Say how a trial ended."""
    settings = ", ".join(f"{name}={format_cell(v)}" for name, v in result.settings.items())
    figure = result.reason or f"{search.metric} {format_cell(result.value)}"
    return f"trial {result.trial} {result.state}: {figure} ({settings})"
