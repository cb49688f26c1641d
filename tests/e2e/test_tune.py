"""A search for recipe settings under Ray Tune, from the installed wheel, killed and taken up again."""

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
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboardX") is None,
        reason="the extra 'scale' is not installed",
    ),
]

SCRIPT = Path(__file__).with_name("tune_session.py")
N_TRIALS = 5


@pytest.fixture(scope="module")
def session(
    vizsla: Path, namespace: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Run everything once; every test looks at a part of it."""
    folder = tmp_path_factory.mktemp("tune")
    sizes = SyntheticOptions(users=40, items=50, clusters=4, interactions=500)
    fetch("synthetic", folder / "home", options=sizes)
    out = folder / "out.json"
    command = [*namespace, sys.executable, SCRIPT, vizsla, folder / "home", folder, out]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def trials(run: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {trial["trial"]: trial for trial in json.loads(run["out"])["trials"]}


def test_a_search_ranks_its_trials(session: dict[str, Any]) -> None:
    """All are accounted for, the recipe as it is was finished, and the best is a finished one."""
    assert session["whole"]["status"] == 0, session["whole"]["said"]
    found = trials(session["whole"])
    best = json.loads(session["whole"]["out"])["best"]

    assert sorted(found) == list(range(N_TRIALS))
    assert found[0]["state"] == "finished"
    assert {trial["state"] for trial in found.values()} <= {"finished", "stopped"}
    finished = [trial["value"] for trial in found.values() if trial["state"] == "finished"]
    assert best["value"] == max(finished) >= found[0]["value"]


def test_the_best_recipe_trains(session: dict[str, Any]) -> None:
    """The file that the search wrote is a recipe; nothing of Ray's is left beside it."""
    assert session["train"]["status"] == 0, session["train"]["said"]
    assert session["files"] == ["best.toml", "run", "search.json", "trials"]


def test_a_killed_search_goes_on(session: dict[str, Any]) -> None:
    """SIGKILL to all of it; taken up, each trial has the settings and values it would have had."""
    assert session["killed"]["status"] == -9
    assert session["done when killed"] < N_TRIALS
    assert session["refused"]["status"] == 2
    assert "--resume" in session["refused"]["said"]
    assert session["resumed"]["status"] == 0, session["resumed"]["said"]
    whole, resumed = trials(session["whole"]), trials(session["resumed"])

    assert sorted(resumed) == list(range(N_TRIALS))
    both = [t for t in whole if whole[t]["state"] == resumed[t]["state"] == "finished"]
    assert 0 in both
    # which ones are stopped depends on who comes first; what a finished one reaches does not
    for trial in both:
        assert resumed[trial] == whole[trial]
