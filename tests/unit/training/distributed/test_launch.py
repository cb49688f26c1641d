"""What is decided before any worker is started, and how a run's end is told."""

import importlib
import json

import pytest

from training import checkpoint
from training.checkpoint import Checkpoint
from training.distributed.background import watched
from training.distributed.cluster import LOCAL, ray_cluster
from training.distributed.launch import DEFAULT_SHARDS, Workers, train_on_workers, with_shards
from training.distributed.worker import Job
from training.recipe import Recipe
from training.splits import SplitSpec
from vizsla.errors import UsageError


def test_workers_share_the_shards_evenly():
    """The recipe's own number of shards wins; what does not divide it is refused with what would."""
    assert with_shards(Recipe(name="r"), 2).shards == DEFAULT_SHARDS
    assert with_shards(Recipe(name="r", shards=6), 3).shards == 6
    with pytest.raises(UsageError, match=r"--workers 3 .* 4 shards .* one of 1, 2, 4"):
        with_shards(Recipe(name="r"), 3)


def test_a_finished_run_starts_no_workers(tmp_path):
    """Killed after training but before the export: nothing is left to train."""
    recipe = Recipe(name="r", shards=4)
    state = {"stage": len(recipe.stages), "log_bytes": 0}
    checkpoint.save(tmp_path / "checkpoint", Checkpoint({}, state), 1)
    job = Job(
        recipe=recipe, dataset_dir=tmp_path, split=SplitSpec(), out=tmp_path, seed=0, threads=1
    )

    assert train_on_workers(job, Workers(2), lambda: False)


def test_without_the_extra_the_way_to_it_is_named(monkeypatch):
    """Ray alone, as serving installs it, is not enough."""

    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(UsageError, match=r"vizsla\[scale\]"), ray_cluster(LOCAL, 1):
        pass


def test_watched_work_gives_its_result_or_its_error():
    """Or nothing, when it is left behind."""
    assert watched(lambda: json.loads("[1]"), lambda: False) == [1]
    with pytest.raises(ValueError, match="Expecting value"):
        watched(lambda: json.loads("["), lambda: False)
