"""One session with ``vizsla serve`` under Ray Serve, as a script, so that it can run in a network namespace.

``python ray_session.py VIZSLA RUN_DIR SHOTS.json OUT.json``; ``test_ray.py`` judges what it writes.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from loadtest.closed_loop import Outcome, Report, Shot, run_closed_loop
from loadtest.malformed import malformed_requests
from vizsla.rng import numpy_generator

N_CLIENTS = 8
N_MALFORMED = 210
STOP_LIMIT_S = 90.0
SLOW = {
    "queries": [{"history": [f"item {row}"]} for row in range(64)],
    "mode": "exhaustive",
    "tmax": 10_000,
}


def main(vizsla: str, run_dir: str, shots_file: str, out: str) -> None:
    command = [vizsla, "serve", run_dir, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url, printed = wait_until_ready(server)
    shots = [
        Shot("/v1/retrieve", body.encode()) for body in json.loads(Path(shots_file).read_text())
    ]
    answers = run_closed_loop(url, shots, N_CLIENTS)
    bad = malformed_requests(N_MALFORMED, numpy_generator(5, "malformed"))
    refused = run_closed_loop(url, [request.shot for request in bad], N_CLIENTS)
    ready = httpx.get(f"{url}/readyz", trust_env=False).json()
    memory_mib = sum(map(pss_kib, Path("/proc").glob("[0-9]*"))) / 1024
    slow, status = stop_in_flight(server, url)
    rest, _ = server.communicate()
    result = {
        "printed": printed + rest,
        "answers": [text(outcome) for outcome in answers.outcomes],
        "refused": [text(outcome) for outcome in refused.outcomes],
        "ready": ready["status"],
        "memory_mib": memory_mib,
        "slow": [outcome.status for outcome in slow.outcomes],
        "status": status,
        "left": commands(),
        "p50_ms": answers.percentile_ms(0.5),
        "p99_ms": answers.percentile_ms(0.99),
        "per_second": answers.per_second,
    }
    Path(out).write_text(json.dumps(result))


def wait_until_ready(server: "subprocess.Popen[str]") -> tuple[str, str]:
    assert server.stdout is not None
    printed = ""
    for line in server.stdout:
        printed += line
        found = re.match(r"ready on (\S+)", line)
        if found:
            return found[1], printed
    raise SystemExit(f"the server did not start: {printed}")


def stop_in_flight(server: "subprocess.Popen[str]", url: str) -> tuple[Report, int]:
    """Stop the server while four slow requests are being answered."""
    reports: list[Report] = []
    shots = [Shot("/v1/retrieve", json.dumps(SLOW).encode())] * 4
    client = threading.Thread(target=lambda: reports.append(run_closed_loop(url, shots, 4)))
    client.start()
    with httpx.Client(base_url=url, trust_env=False) as watcher:
        while "vizsla_requests_in_flight 4.0" not in watcher.get("/metrics").text:
            pass
    server.send_signal(signal.SIGTERM)
    status = server.wait(STOP_LIMIT_S)
    client.join()
    return reports[0], status


def pss_kib(process: Path) -> int:
    """Memory of a process, shared pages divided among those who share them."""
    try:
        found = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def commands() -> list[str]:
    """Command lines of the processes that are there."""
    paths = Path("/proc").glob("[0-9]*/cmdline")
    return [path.read_text().replace("\0", " ") for path in paths if path.exists()]


def text(outcome: Outcome) -> list[object]:
    return [outcome.status, outcome.media_type, outcome.body.decode()]


if __name__ == "__main__":
    main(*sys.argv[1:])
