"""What each worker of a run does: the usual training, as one of a team."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.data import Split
from training.distributed.carried_errors import error_record
from training.distributed.torch_team import TorchTeam
from training.recipe import Recipe
from training.splits import SplitSpec
from training.trainer import RunOptions, Trainer
from training.validation import training_validator
from vizsla.clock import SystemClock
from vizsla.errors import VizslaError

__all__ = ["Ending", "Job", "stop_file", "train_share"]


class Job(BaseModel):
    """A run as its workers are told of it; paths are absolute.

    Attributes:
        recipe: With its variants and settings applied.
        dataset_dir: The data.
        split: How they are cut.
        out: The run's folder, which all workers share.
        seed: Fixes everything random.
        threads: Torch threads of each worker.
        warm_start: Folder of another run whose first stage is taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: Recipe
    dataset_dir: Path
    split: SplitSpec
    out: Path
    seed: int
    threads: int
    warm_start: Path | None = None


class Ending(BaseModel):
    """How a worker ended.

    Attributes:
        state: Finished; stopped as asked, with a checkpoint; or refused by an error of ours.
        error: Class and message of the error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["finished", "stopped", "refused"]
    error: dict[str, str] | None = None


def stop_file(out: Path) -> Path:
    """Return the file that asks the workers of a run to stop."""
    return out / "stop"


def train_share(job: Job, load: Callable[[], Split]) -> Ending:
    """Train as one of the team of the current process group.

    An error of ours is returned: it would come out the same however often it were tried, and
    raised it would look to Ray like a worker that broke.

    Args:
        job: The run.
        load: Reads the data.
    """
    clock = SystemClock()
    team = TorchTeam(clock)
    try:
        split = team.all_manage(load)
        options = RunOptions(
            out=job.out,
            seed=job.seed,
            threads=job.threads,
            resume=True,
            warm_start=job.warm_start,
            should_stop=stop_file(job.out).exists if team.rank == 0 else lambda: False,
            clock=clock,
            team=team,
        )
        validate = training_validator(split, job.recipe.validation_queries, job.seed)
        matcher = Trainer(job.recipe, split, options, validate).run()
    except VizslaError as error:
        return Ending(state="refused", error=error_record(error))
    return Ending(state="stopped" if matcher is None else "finished")
