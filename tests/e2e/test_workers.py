"""Training on two processes under Ray Train, from the installed wheel, disturbed in every way."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vizsla.datasets import fetch
from vizsla.datasets.sources.synthetic import SyntheticOptions

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ray,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboardX") is None,
        reason="the extra 'scale' is not installed",
    ),
]

SCRIPT = Path(__file__).with_name("workers_session.py")


@pytest.fixture(scope="module")
def session(
    vizsla: Path, namespace: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Run everything once; every test looks at a part of it."""
    folder = tmp_path_factory.mktemp("workers")
    sizes = SyntheticOptions(users=40, items=50, clusters=4, interactions=500)
    fetch("synthetic", folder / "home", options=sizes)
    out = folder / "out.json"
    command = [*namespace, sys.executable, SCRIPT, vizsla, folder / "home", folder, out]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=1400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def same_weights(run: dict[str, Any], other: dict[str, Any]) -> bool:
    stages = ("stage1", "stage2")
    return all(stage in run and run[stage] == other[stage] for stage in stages)


def losses(run: dict[str, Any]) -> list[tuple[int, int, float]]:
    steps = [record for record in run["log"] if record["event"] == "step"]
    return [(step["stage"], step["step"], step["loss"]) for step in steps]


def test_two_workers_equal_one(session: dict[str, Any]) -> None:
    """The same global batches in one process without Ray: the same bits, the same losses."""
    assert session["two"]["status"] == session["alone"]["status"] == 0
    assert same_weights(session["two"], session["alone"])
    assert losses(session["two"]) == losses(session["alone"])


def test_every_epoch_says_what_it_cost(session: dict[str, Any]) -> None:
    """In the log and on the screen: seconds, bytes of both kinds, and the exchanges' share."""
    epochs = [record for record in session["two"]["log"] if record["event"] == "epoch"]

    assert len(epochs) == 14
    for epoch in epochs:
        assert epoch["n_workers"] == 2
        assert epoch["dense_bytes_per_step"] > 0
        assert epoch["sparse_bytes_per_step"] > 0
        assert 0 < epoch["exchange_ratio"] < 1
    assert "KiB sent per worker and step" in session["two"]["said"]


def test_a_killed_worker_changes_nothing(session: dict[str, Any]) -> None:
    """SIGKILL in the middle of an epoch: other workers go on to the same bits and the same log."""
    killed = session["killed"]

    assert killed["status"] == 0, killed["said"]
    assert not set(killed["told"]["before"]) & set(killed["told"]["after"])
    assert same_weights(killed, session["two"])
    assert losses(killed) == losses(session["two"])
    assert "a worker was lost" in killed["said"]


@pytest.mark.parametrize("how", ["terminated", "interrupted"])
def test_a_stopped_run_leaves_a_checkpoint(session: dict[str, Any], how: str) -> None:
    """SIGTERM to the command, or Ctrl-C to all its processes: the step ends, and says how to go on."""
    stopped = session[how]

    assert stopped["status"] == 130, stopped["said"]
    assert "checkpoint" in stopped["files"]
    assert "stage1" not in stopped
    assert "--resume" in stopped["said"]


def test_a_stopped_run_goes_on_without_ray(session: dict[str, Any]) -> None:
    """How many processes take part may change in between: the bits stay the same."""
    assert session["resumed"]["status"] == 0, session["resumed"]["said"]
    assert same_weights(session["resumed"], session["two"])
    assert losses(session["resumed"]) == losses(session["two"])


def test_divergence_is_one_clear_line(session: dict[str, Any]) -> None:
    """The error of the loss, not Ray's of a worker; it is not tried again."""
    diverged = session["diverged"]

    assert diverged["status"] == 1
    assert "Traceback" not in diverged["said"]
    last = diverged["said"].splitlines()[-1]
    assert last.startswith("error: the ")
    assert "last good checkpoint" in last


def test_nothing_is_left_behind(session: dict[str, Any], namespace: list[str]) -> None:
    """No process of Ray, and nothing of it in the run's folder."""
    assert session["two"]["files"] == session["alone"]["files"]
    if namespace:
        assert session["left"] == []
