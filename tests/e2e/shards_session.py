"""One session with a sharded bundle on a real Ray, as a script for a network namespace.

``python shards_session.py VIZSLA RUN_DIR SHOTS.json OUT.json``; ``test_shards.py`` judges what it writes.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from loadtest.closed_loop import Shot, run_closed_loop

N_SHARDS = "4"
N_CLIENTS = 2
VICTIM = "ray::ServeReplica:vizsla:shard-2"
RECOVERY_LIMIT_S = 120.0
TMAX_MS = 1000
QUESTION = {"user_id": "user 1", "k": 50, "mode": "exhaustive", "tmax": TMAX_MS}


def main(vizsla: str, run_dir: str, shots_file: str, out: str) -> None:
    from ray_session import STOP_LIMIT_S, commands, text, wait_until_ready

    made = {
        name: sharded(vizsla, run_dir, Path(out).parent / name, *flags)
        for name, flags in {"ray": (), "local": ("--local",)}.items()
    }
    users = Path(run_dir) / "users.parquet"
    command = [vizsla, "serve", made["ray"], "--users", users, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    url, _ = wait_until_ready(server)
    shots = [
        Shot("/v1/retrieve", body.encode()) for body in json.loads(Path(shots_file).read_text())
    ]
    answers = run_closed_loop(url, shots, N_CLIENTS)
    hurried = [ask(url, {**QUESTION, "tmax": tmax}) for tmax in (1, 2, 5, 10)]
    during, recovered = kill_and_watch(url)
    metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    server.send_signal(signal.SIGTERM)
    status = server.wait(STOP_LIMIT_S)
    result = {
        "bundles": {name: Path(path).name for name, path in made.items()},
        "answers": [text(outcome) for outcome in answers.outcomes],
        "hurried": hurried,
        "during": during,
        "recovered": recovered,
        "metrics": metrics,
        "status": status,
        "left": commands(),
        "p50_ms": answers.percentile_ms(0.5),
        "p99_ms": answers.percentile_ms(0.99),
    }
    Path(out).write_text(json.dumps(result))


def sharded(vizsla: str, run_dir: str, folder: Path, *flags: str) -> str:
    command = [vizsla, "index", "shard", run_dir, "--shards", N_SHARDS, "--out", folder, "--json"]
    done = subprocess.run([*command, *flags], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["bundle"]


def ask(url: str, body: dict[str, object]) -> dict[str, object]:
    start_s = time.monotonic()
    answer = httpx.post(f"{url}/v1/retrieve", json=body, trust_env=False, timeout=60.0)
    took_ms = 1000 * (time.monotonic() - start_s)
    body = answer.json()
    items = [item["item_id"] for item in body["results"][0]["items"]] if answer.is_success else []
    return {
        "status": answer.status_code,
        "took_ms": took_ms,
        "degraded": body.get("degraded"),
        "items": items,
    }


def kill_and_watch(url: str) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Kill one shard between requests; ask on until it is back."""
    os.kill(find(VICTIM), signal.SIGKILL)
    during = []
    deadline_s = time.monotonic() + RECOVERY_LIMIT_S
    while time.monotonic() < deadline_s:
        answer = ask(url, QUESTION)
        if not answer["degraded"]:
            return during, answer
        during.append(answer)
        threading.Event().wait(0.05)
    raise SystemExit(f"the shard did not come back: {during[-1]}")


def find(name: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.read_text().startswith(name):
            return int(path.parent.name)
    raise SystemExit(f"no process {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
