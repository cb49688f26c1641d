"""Starts the workers of a run under Ray Train, watches them, and takes their result."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training import checkpoint
from training.distributed.background import watched
from training.distributed.carried_errors import error_from
from training.distributed.cluster import LOCAL, ray_cluster
from training.distributed.reading import data_config, interactions, split_of
from training.distributed.watch import LogWatcher
from training.distributed.worker import Ending, Job, stop_file, train_share
from training.recipe import Recipe
from training.resuming import settle
from vizsla.cli_output import progress, say
from vizsla.errors import TrainingError, UsageError
from vizsla.files import write_text

__all__ = ["DEFAULT_SHARDS", "Workers", "train_on_workers", "with_shards"]

DEFAULT_SHARDS = 4
"""Shards of a batch under workers, where the recipe does not say."""

_DATASET = "interactions"
_TIMEOUT_S = 24 * 3600
"""The others wait while the first worker validates; a dead worker is noticed at once all the same."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who trains.

    Attributes:
        n_workers: Processes.
        max_failures: How often workers may die before the run is given up.
        address: Of a running Ray, or ``local``.
    """

    n_workers: int
    max_failures: int = 3
    address: str = LOCAL


def train_on_workers(job: Job, workers: Workers, should_stop: Callable[[], bool]) -> bool:
    """Train; the weights are in the run's newest checkpoint afterwards.

    Args:
        job: The run; it goes on from the newest checkpoint in its folder.
        workers: Who trains.
        should_stop: Asked a few times per second.

    Returns:
        Whether the run is finished; False when it was asked to stop: a checkpoint is written.

    Raises:
        UsageError: Ray or its training libraries are not there.
        TrainingError: The loss diverged, or workers died too often.
    """
    if settle(job.out).get("stage", 0) >= len(job.recipe.stages):
        return True
    stop_file(job.out).unlink(missing_ok=True)
    say(f"starting {workers.n_workers} workers under Ray")
    with ray_cluster(workers.address, workers.n_workers * job.threads):
        ending = _watched(job, workers, should_stop)
    stop_file(job.out).unlink(missing_ok=True)
    if ending.error is not None:
        raise error_from(ending.error)
    return ending.state == "finished"


def with_shards(recipe: Recipe, n_workers: int) -> Recipe:
    """Return the recipe with a number of shards that the workers can share evenly.

    Raises:
        UsageError: Names the numbers of workers that would do.
    """
    n_shards = recipe.shards or DEFAULT_SHARDS
    if n_shards % n_workers:
        good = ", ".join(str(n) for n in range(1, n_shards + 1) if n_shards % n == 0)
        raise UsageError(
            f"--workers {n_workers} cannot share the {n_shards} shards of a batch evenly: "
            f"use one of {good}, or --set shards={n_workers}"
        )
    return recipe.model_copy(update={"shards": n_shards})


def _watched(job: Job, workers: Workers, should_stop: Callable[[], bool]) -> Ending:
    """Let the workers train, show how far they are, and pass on the wish to stop."""
    from ray.exceptions import RayError
    from ray.train import TrainingFailedError

    title = f"training on {workers.n_workers} workers"
    with progress(title, unit="steps") as bar:
        watcher = LogWatcher(job.out / "log.jsonl", job.recipe.stages, bar)
        asked = False

        def look() -> bool:
            nonlocal asked
            watcher.look()
            if should_stop() and not asked:
                asked = True
                say("stopping after this step")
                write_text(stop_file(job.out), "")
            return False

        try:
            ending = watched(lambda: _fit(job, workers), look)
        except TrainingFailedError as error:
            said = f"the workers broke {workers.max_failures + 1} times, at last with"
            raise _in_a_line(job, said, error) from None
        except RayError as error:
            raise _in_a_line(job, "Ray itself broke", error) from None
    assert ending is not None
    return ending


def _fit(job: Job, workers: Workers) -> Ending:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    # what Ray keeps of a run is of no use here: our own checkpoints are what a run goes on from
    storage = tempfile.mkdtemp(prefix="ray-", dir=job.out)
    try:
        trainer = TorchTrainer(
            _train_share,
            train_loop_config=job.model_dump(mode="json"),
            datasets={_DATASET: interactions(job.dataset_dir)},
            dataset_config=data_config(),
            torch_config=TorchConfig(backend="gloo", timeout_s=_TIMEOUT_S),
            scaling_config=ScalingConfig(
                num_workers=workers.n_workers,
                use_gpu=False,
                resources_per_worker={"CPU": job.threads},
            ),
            run_config=RunConfig(
                name="workers",
                storage_path=storage,
                failure_config=FailureConfig(max_failures=workers.max_failures),
            ),
        )
        return Ending.model_validate(trainer.fit().return_value)
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def _train_share(config: dict[str, Any]) -> dict[str, Any]:
    """Run in every worker."""
    from ray.train import get_dataset_shard

    job = Job.model_validate(config)
    shard = get_dataset_shard(_DATASET)
    return train_share(job, lambda: split_of(job.dataset_dir, job.split, shard)).model_dump()


def _in_a_line(job: Job, said: str, error: Exception) -> TrainingError:
    """Say in a line what Ray says in many."""
    last = [line for line in str(error).splitlines() if line.strip()][-1].strip()
    newest = checkpoint.latest(job.out / "checkpoint")
    return TrainingError(
        f"{said}: {last}; last good checkpoint: {newest or 'none yet'}; go on with --resume"
    )
