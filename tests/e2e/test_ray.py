"""The server under Ray Serve, from the installed wheel, spoken to over HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.malformed import malformed_requests
from vizsla.contracts.api import Problem, RetrieveResponse
from vizsla.rng import numpy_generator

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).with_name("ray_session.py")
N_REQUESTS = 600
MEMORY_LIMIT_MIB = 2048


@pytest.fixture(scope="module")
def bodies() -> list[dict[str, Any]]:
    modes = ["walk", "exhaustive"]
    return [
        {"user_id": f"user {row % 200}", "k": 10, "mode": modes[row % 2], "tmax": 10_000}
        for row in range(N_REQUESTS)
    ]


@pytest.fixture(scope="module")
def session(
    vizsla: Path,
    run_dir: Path,
    bodies: list[dict[str, Any]],
    namespace: list[str],
    tmp_path_factory: Any,
) -> dict[str, Any]:
    """Run the whole session once; every test looks at a part of it."""
    folder = tmp_path_factory.mktemp("ray")
    shots, out = folder / "shots.json", folder / "out.json"
    shots.write_text(json.dumps([json.dumps(body) for body in bodies]))
    command = [*namespace, sys.executable, SCRIPT, vizsla, run_dir, shots, out]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    print({name: result[name] for name in ("p50_ms", "p99_ms", "per_second", "memory_mib")})
    return result


def test_answers_equal_the_search_in_process(
    session: dict[str, Any], bodies: list[dict[str, Any]], in_process: Any
) -> None:
    """Every request is answered like the search in process, and none is degraded."""
    for body, (status, _, text) in zip(bodies, session["answers"], strict=True):
        assert status == 200, text
        answer = RetrieveResponse.model_validate_json(text)
        assert answer.degraded == []
        in_process.check(body, answer)


def test_malformed_requests_are_refused(session: dict[str, Any]) -> None:
    """Refusals come through Ray's proxy as they are, and the server stays up."""
    requests = malformed_requests(len(session["refused"]), numpy_generator(5, "malformed"))
    for request, (status, media_type, text) in zip(requests, session["refused"], strict=True):
        assert status in request.statuses, (request.kind, text)
        assert media_type == "application/problem+json"
        assert Problem.model_validate_json(text).status == status
    assert session["ready"] == "ready"


def test_stops_gracefully(session: dict[str, Any]) -> None:
    """After SIGTERM the requests in flight are finished and the exit status is 0."""
    assert session["slow"] == [200] * 4
    assert session["status"] == 0


def test_leaves_nothing_behind(session: dict[str, Any], namespace: list[str]) -> None:
    """No process of Ray outlives the command."""
    if not namespace:
        pytest.skip("other processes of this machine cannot be told apart without a namespace")
    ours = re.compile(r"ray::|raylet|gcs_server|/ray/|haproxy")
    assert [command for command in session["left"] if ours.search(command)] == []


def test_is_quiet(session: dict[str, Any]) -> None:
    """Ray's own lines stay out of the user's terminal."""
    lines = [line for line in session["printed"].splitlines() if "network_util.cc" not in line]

    assert lines[0].startswith("starting Ray Serve")
    assert lines[1].startswith("warning: this bundle did not pass its gate")
    assert lines[2].startswith("ready on ")
    assert lines[-1] == "stopped"
    assert len(lines) == 6


def test_fits_in_two_gibibytes(session: dict[str, Any], namespace: list[str]) -> None:
    """Ray with one replica, client included, stays small."""
    if not namespace:
        pytest.skip("other processes of this machine cannot be told apart without a namespace")
    assert session["memory_mib"] < MEMORY_LIMIT_MIB
