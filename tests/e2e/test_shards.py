"""A sharded bundle built by Ray tasks and served by four deployments, one of which is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vizsla.bundles import load, shard_numbers
from vizsla.contracts.api import RetrieveResponse

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).with_name("shards_session.py")
N_REQUESTS = 60
SPARE_MS = 1500.0
"""What a client on a busy machine sees beyond the deadline of an answer."""


@pytest.fixture(scope="module")
def bodies() -> list[dict[str, Any]]:
    return [
        {"user_id": f"user {row}", "k": 50, "mode": "exhaustive", "tmax": 10_000}
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
    folder = tmp_path_factory.mktemp("shards")
    shots, out = folder / "shots.json", folder / "out.json"
    shots.write_text(json.dumps([json.dumps(body) for body in bodies]))
    command = [*namespace, sys.executable, SCRIPT, vizsla, run_dir, shots, out]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    print({name: result[name] for name in ("p50_ms", "p99_ms")}, len(result["during"]))
    return result


def test_ray_tasks_write_the_bytes_of_one_process(session: dict[str, Any]) -> None:
    """The bundle is named by its content."""
    assert session["bundles"]["ray"] == session["bundles"]["local"]


def test_answers_equal_the_search_of_the_whole(
    session: dict[str, Any], bodies: list[dict[str, Any]], in_process: Any
) -> None:
    """Every request is answered by all shards, like an exhaustive search of one index."""
    for body, (status, _, text) in zip(bodies, session["answers"], strict=True):
        assert status == 200, text
        answer = RetrieveResponse.model_validate_json(text)
        assert answer.degraded == []
        in_process.check(body, answer)


def test_no_answer_waits_for_a_slow_shard(session: dict[str, Any]) -> None:
    """With a deadline that no shard can meet, the answer comes and says what stood in."""
    for answer in session["hurried"]:
        assert answer["status"] == 200
        assert answer["took_ms"] < SPARE_MS
        assert len(answer["items"]) == 50
    assert any(answer["degraded"] for answer in session["hurried"])


def test_a_dead_shard_is_named_and_nothing_of_it_returned(
    session: dict[str, Any], run_dir: Path
) -> None:
    """Answers keep coming within the deadline, with the items of the other shards."""
    ids = load(run_dir).vocabulary.ids()
    gone = {id_ for id_, n in zip(ids, shard_numbers(ids, 4).tolist(), strict=True) if n == 2}

    assert session["during"]
    for answer in session["during"]:
        assert answer["status"] == 200
        assert answer["took_ms"] < 1000 + SPARE_MS
        (degraded,) = answer["degraded"]
        assert degraded["stage"] == "retrieve"
        assert "shard 2 of 4" in degraded["reason"]
        if degraded["fallback"] == "missing_shards":
            assert not gone & set(answer["items"])
    assert 'reason="retrieve:missing_shards"' in session["metrics"]


def test_a_dead_shard_comes_back(session: dict[str, Any]) -> None:
    """Serve starts it again, and the answers are whole."""
    assert session["recovered"]["degraded"] == []
    assert len(session["recovered"]["items"]) == 50


def test_stops_gracefully(session: dict[str, Any]) -> None:
    """The shards end with the app."""
    assert session["status"] == 0
    assert [line for line in session["left"] if "ray::ServeReplica" in line] == []
