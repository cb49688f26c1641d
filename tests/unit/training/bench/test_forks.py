"""Arms forked from a run of planted data."""

import json
from dataclasses import replace

import pytest

from training.bench.forks import Arm, Fork
from training.pipeline import TrainRequest, train_bundle
from training.run_folder import open_run
from training.run_log import RunLog
from training.trainer import RunOptions, Trainer
from vizsla.errors import UsageError

TINY = {
    "model_settings.embedding_size": 8,
    "model_settings.attention_size": 8,
    "model_settings.attention_hidden": 8,
    "model_settings.item_hidden": 8,
    "model_settings.score_hidden": [8],
    "model_settings.encoder": "pool",
    "max_history": 8,
    "log_every": 1,
    "stage1.epochs": 1,
    "stage1.batch_size": 16,
    "stage1.negatives.n_negatives": 16,
    "stage2.epochs": 0,
    "stage2.batch_size": 16,
    "stage2.hard.n_negatives": 4,
}


@pytest.fixture(scope="module")
def warm(world, tmp_path_factory):
    """A finished run of stage 1."""
    out = tmp_path_factory.mktemp("runs") / "planted"
    train_bundle(TrainRequest("matcher", world.dataset, out, assignments=TINY, threads=1))
    return out


@pytest.fixture
def fork(world, warm, tmp_path):
    """An arm with the adversarial task."""
    arm = Arm("on", {"stage2.adversarial.weight": 1.0, "stage2.adversarial.start_ratio": 0.0})
    return Fork(warm, arm, 0, tmp_path / "arm", world.home, max_queries=20)


def steps(fork):
    return [r for r in RunLog(fork.out / "log.jsonl").read() if r["event"] == "step"]


def test_an_arm_gives_one_row_and_leaves_no_weights(fork, warm):
    """Settings and log stay; the warm run is untouched."""
    before = (warm / "stage1.safetensors").read_bytes()
    (row,) = fork()

    assert (row["dataset"], row["arm"], row["seed"]) == ("planted", "on", 0)
    assert {"recipe", "seed"} <= json.loads((fork.out / "run.json").read_text()).keys()
    assert all("kl" in step for step in steps(fork))
    assert not list(fork.out.glob("*.safetensors"))
    assert (warm / "stage1.safetensors").read_bytes() == before


def test_the_same_seed_gives_the_same_figures(fork, tmp_path):
    """Another seed does not: it has other batches, negatives and queries."""
    first, again, other = (
        replace(fork, out=tmp_path / str(place), seed=seed)()[0]
        for place, seed in enumerate((0, 0, 1))
    )

    assert first["queries"] == again["queries"]
    assert first["queries"] != other["queries"]


def test_settings_of_the_arm_win_over_those_of_all(fork):
    """Three batches are asked for; the arm wants the task off, all arms want it on."""
    off = replace(
        fork,
        arm=Arm("off", {"stage2.adversarial.weight": 0.0}),
        assignments={"stage2.adversarial.weight": 1.0, "stage2.max_batches": 3},
    )
    off()

    assert len(steps(off)) == 3
    assert "kl" not in steps(off)[0]


def test_an_arm_that_runs_out_of_time_is_measured_as_it_is(fork):
    """A microsecond is one step."""
    (row,) = replace(fork, cpu_minutes=1e-8)()

    assert len(steps(fork)) == 1
    assert row["n_queries"] == 20


def begun(fork, n_steps):
    """Train an arm for a few steps and stop it, as Ctrl-C does."""
    recipe, split, run = fork._open()
    open_run(fork.out, run, resume=True, fresh=False)
    steps_left = iter(range(n_steps - 1))
    options = RunOptions(
        fork.out,
        fork.seed,
        warm_start=fork.run,
        should_stop=lambda: next(steps_left, None) is None,
    )
    assert Trainer(recipe, split, options, lambda *_: {}).run() is None


def test_an_interrupted_arm_goes_on_from_its_checkpoint(fork, tmp_path):
    """Its figures are those of an arm that was never interrupted."""
    begun(fork, 2)
    assert len(steps(fork)) == 2
    (row,) = fork()
    (straight,) = replace(fork, out=tmp_path / "straight")()

    assert row["queries"] == straight["queries"]
    assert len(steps(fork)) == len(steps(replace(fork, out=tmp_path / "straight")))


def test_the_folder_of_another_arm_is_refused(fork):
    """Unless it is to be begun again."""
    begun(fork, 2)
    other = replace(fork, arm=Arm("off", {"stage2.adversarial.weight": 0.0}))

    with pytest.raises(UsageError, match="different run"):
        other()
    assert replace(other, fresh=True)()[0]["arm"] == "off"


def test_a_run_is_needed(fork, tmp_path):
    """The message says what is missing."""
    with pytest.raises(UsageError, match="is no run of `vizsla train`"):
        replace(fork, run=tmp_path)()
