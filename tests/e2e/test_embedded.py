"""The server as a user starts it: a process from the installed wheel, spoken to over HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.closed_loop import Report, Shot, run_closed_loop
from loadtest.malformed import malformed_requests
from vizsla.contracts.api import Problem, RetrieveResponse
from vizsla.rng import numpy_generator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

N_REQUESTS = 2000
N_MALFORMED = 1000
N_CLIENTS = 8
K = 10


@pytest.fixture
def requests_() -> list[dict[str, Any]]:
    """By user and by history, walking and exhaustive, in turn."""
    modes = ["walk", "exhaustive", "auto"]
    return [
        {"user_id": f"user {row % 200}", "k": K, "mode": modes[row % 3]}
        if row % 2
        else {"history": [f"item {row}", f"item {row + 1}"], "k": K, "mode": modes[row % 3]}
        for row in range(N_REQUESTS)
    ]


def test_2000_requests_from_8_clients(
    start: Any, in_process: Any, requests_: list[dict[str, Any]]
) -> None:
    """All are answered without an error, each like the search in process."""
    server = start("--embedded")
    shots = [Shot("/v1/retrieve", json.dumps(body).encode()) for body in requests_]
    report = run_closed_loop(server.url, shots, N_CLIENTS)

    for body, outcome in zip(requests_, report.outcomes, strict=True):
        assert outcome.status == 200, outcome.body
        answer = RetrieveResponse.model_validate_json(outcome.body)
        assert answer.degraded == []
        in_process.check(body, answer)
    print(_figures(report))
    assert server.stop() == 0


def test_1000_malformed_requests(start: Any) -> None:
    """Each gets a 4xx problem document that names the field; the server stays up."""
    server = start("--embedded")
    requests = malformed_requests(N_MALFORMED, numpy_generator(3, "malformed"))
    report = run_closed_loop(server.url, [request.shot for request in requests], N_CLIENTS)

    for request, outcome in zip(requests, report.outcomes, strict=True):
        assert outcome.status in request.statuses, (request.kind, request.shot.body[:99], outcome)
        problem = Problem.model_validate_json(outcome.body)
        pointers = {error.pointer for error in problem.errors}
        assert request.pointer is None or request.pointer in pointers
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_what_is_in_flight(start: Any, number: int) -> None:
    """Requests that the server has begun are answered though it was told to stop."""
    server = start("--embedded")
    slow = {"queries": [{"history": [f"item {row}"]} for row in range(64)], "mode": "exhaustive"}
    shots = [Shot("/v1/retrieve", json.dumps(slow).encode())] * 4
    reports: list[Report] = []
    client = threading.Thread(target=lambda: reports.append(run_closed_loop(server.url, shots, 4)))
    client.start()
    _wait_for_in_flight(server.url, 4)
    status = server.stop(number)
    client.join()

    assert [outcome.status for outcome in reports[0].outcomes] == [200] * 4
    assert status == 0
    assert server.text.rstrip().endswith("stopped")


def _wait_for_in_flight(url: str, n_requests: int) -> None:
    with httpx.Client(base_url=url) as client:
        while f"vizsla_requests_in_flight {n_requests}.0" not in client.get("/metrics").text:
            pass


def test_says_what_to_try(start: Any) -> None:
    """The printed curl command is answered as it stands."""
    server = start("--embedded")
    command = next(line for line in server.lines if "curl" in line)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)

    assert RetrieveResponse.model_validate_json(done.stdout).results[0].items
    assert "did not pass its gate" in server.text


@pytest.mark.parametrize("host", [["--embedded"], []])
def test_port_in_use_is_one_line(vizsla: Path, run_dir: Path, host: list[str]) -> None:
    """A port that is taken ends in one line and a status, before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [vizsla, "serve", run_dir, "--port", port, *host],
            check=False,
            capture_output=True,
            text=True,
        )

    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if "error" in line] == [
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another with --host and --port"
    ]


@pytest.mark.parametrize("host", [["--embedded"], []])
def test_wrong_bundle_is_one_line(vizsla: Path, tmp_path: Path, host: list[str]) -> None:
    """A directory that is no bundle ends in one line that names it."""
    done = subprocess.run(
        [vizsla, "serve", tmp_path, "--port", "0", *host],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 5
    assert done.stderr.startswith(f"error: {tmp_path}: not a bundle")


def _figures(report: Report) -> str:
    p50, p99 = report.percentile_ms(0.5), report.percentile_ms(0.99)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {report.per_second:.0f} answers/s"
