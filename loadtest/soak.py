"""A soak: searches and item changes against a real server that is killed again and again.

``python -m loadtest.soak RUN --minutes 30`` copies a run directory, serves the copy, and lets
searchers and one updater work on it while the process is killed with SIGKILL every minute.
The updater sends a change again, under the same event id, until it is acknowledged, and
keeps a ledger of what was.  After every restart the server must know exactly what the ledger
says; no answer may hold an item that had been paused or removed before it was asked for.  The
neighbour rows that searches walk are checked by the index checker under load, before each
kill, and after each restart; at the end also those of a bundle into which the changes are
compacted.  Memory must not grow from life to life, nor within a life: the latter is said of
lives of at least seven minutes only (``--kill-every 900``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from loadtest.server_process import ServerProcess, run_command
from loadtest.soak_load import POOL, Life, Soak
from loadtest.soak_memory import MOST_GROWTH_MIB_PER_MIN, MemoryWatch
from vizsla.clock import Clock, SystemClock

__all__ = ["main", "soak"]

CHECKED_PER_LIFE = 200
MEMORY_RATIO = 1.25
SAMPLE_S = 1.0


def soak(
    run_dir: Path,
    minutes: float,
    *,
    kill_every_s: float = 60.0,
    n_searchers: int = 2,
    change_pause_s: float = 0.02,
    seed: int = 0,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Soak a copy of a run directory and return the report; ``wrong`` is empty when all held.

    The minutes are those that the process lives under load; restarts and checks come on top,
    so that the number of kills does not hang on how fast the machine starts it.
    """
    clock = clock or SystemClock()
    with tempfile.TemporaryDirectory(prefix="vizsla-soak-") as name:
        copy = _copied(run_dir, Path(name) / "run")
        with ServerProcess(copy) as server:
            server.start()
            one = Soak(server, clock)
            _live_and_die(one, minutes, kill_every_s, n_searchers, change_pause_s, seed)
            server.kill()
        checked = _checked(one, copy)
    return {**_report(one, minutes), **checked, "wrong": one.wrong[:50]}


def _live_and_die(
    one: Soak,
    minutes: float,
    kill_every_s: float,
    n_searchers: int,
    change_pause_s: float,
    seed: int,
) -> None:
    generator = np.random.default_rng([seed, 3])
    base_items = _base_items(one.server)
    left_s = 60 * minutes
    while left_s > 0:
        life_s = min(kill_every_s, left_s)
        left_s -= life_s
        with _load(one, base_items, n_searchers, change_pause_s, seed + 100 * len(one.lives)):
            memory = _watched(one, life_s)
            one.check_graph()
            one.server.kill()
            started_s = one.clock.monotonic_s()
            one.server.start()
            restart_s = one.clock.monotonic_s() - started_s
        one.lives.append(Life(memory, restart_s))
        one.check_graph()
        one.verify(generator, CHECKED_PER_LIFE)
    one.verify(generator, POOL)


@contextmanager
def _load(
    one: Soak, base_items: Sequence[str], n_searchers: int, change_pause_s: float, seed: int
) -> Iterator[None]:
    one.over.clear()
    threads = [
        threading.Thread(target=one.search, args=(base_items, seed + row), daemon=True)
        for row in range(n_searchers)
    ]
    threads.append(
        threading.Thread(target=one.change, args=(base_items, seed, change_pause_s), daemon=True)
    )
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        one.over.set()
        for thread in threads:
            thread.join()


def _watched(one: Soak, seconds: float) -> MemoryWatch:
    """Let the load run, and watch the server's memory."""
    wait, memory = threading.Event(), MemoryWatch()
    started_s = one.clock.monotonic_s()
    while (lived_s := one.clock.monotonic_s() - started_s) < seconds:
        wait.wait(min(SAMPLE_S, seconds - lived_s))
        memory.note(one.clock.monotonic_s() - started_s, one.server.rss_mib())
    return memory


def _base_items(server: ServerProcess) -> list[str]:
    answer = httpx.post(
        f"{server.url}/v1/retrieve", json={"user_id": "nobody at all", "k": 500}, trust_env=False
    )
    return [item["item_id"] for item in answer.json()["results"][0]["items"]]


def _copied(run_dir: Path, target: Path) -> Path:
    """Copy the newest bundle and the users; log and training state stay where they are."""
    named = (run_dir / "latest_bundle").read_text(encoding="utf-8").strip()
    bundle = next(path for path in (run_dir / named, Path(named)) if path.is_dir())
    shutil.copytree(bundle, target / "bundles" / bundle.name)
    (target / "latest_bundle").write_text(f"bundles/{bundle.name}\n", encoding="utf-8")
    if (run_dir / "users.parquet").exists():
        shutil.copy(run_dir / "users.parquet", target)
    return target


def _checked(one: Soak, run_dir: Path) -> dict[str, Any]:
    """Compact the log and check the graph, with the commands that a user has."""
    facts: dict[str, Any] = {}
    for words in (["items", "compact"], ["index", "check"]):
        done = run_command([*words, str(run_dir), "--json"])
        if done.returncode:
            one.wrong.append(f"{' '.join(words)}: {done.stderr.strip()[-300:]}")
            return facts
        facts[words[1]] = json.loads(done.stdout)
    if facts["check"]["reachable_ratio"] != 1.0:
        one.wrong.append("the compacted graph does not reach every item")
    return {"compacted_items": facts["compact"]["n_items"], "graph_ok": True}


def _report(one: Soak, minutes: float) -> dict[str, Any]:
    memory = [life.memory.report() for life in one.lives]
    _judge_memory(one, memory)
    return {
        "minutes": minutes,
        "n_kills": len(one.lives),
        "n_searches": len(one.search_ms),
        "n_acknowledged": one.ledger.n_acknowledged,
        "n_graph_checks": one.n_graph_checks,
        "search_ms": _percentiles(one.search_ms),
        "change_ms": _percentiles(one.change_ms),
        "memory": memory,
        "memory_verdict": _overall([life["verdict"] for life in memory]),
        "restart_s": [round(life.restart_s, 1) for life in one.lives],
    }


def _judge_memory(one: Soak, memory: Sequence[dict[str, Any]]) -> None:
    """Hold growth within a life, and from life to life, to be wrong."""
    for number, life in enumerate(memory, start=1):
        if life["verdict"] == "grows":
            slope = life["slope_mib_per_min"]
            one.wrong.append(f"life {number}: memory grows by {slope} MiB a minute, not within {MOST_GROWTH_MIB_PER_MIN}")  # fmt: skip
    floors = [life.memory.floor_mib for life in one.lives]
    if len(floors) > 3:
        first, last = statistics.median(floors[1:3]), statistics.median(floors[-2:])
        if last > MEMORY_RATIO * first:
            one.wrong.append(f"memory grew from life to life, from {first:.0f} to {last:.0f} MiB")


def _overall(verdicts: Sequence[str]) -> str:
    return next((one for one in ("grows", "flat") if one in verdicts), "too short")


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 99)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit status is 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description="Searches and item changes under kill -9.")
    parser.add_argument("run", type=Path, help="A run directory whose bundle has a graph.")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="Under load; restarts come on top."
    )
    parser.add_argument(
        "--kill-every",
        type=float,
        default=60.0,
        help="Seconds that the process lives; from 420 on its memory is judged.",
    )
    parser.add_argument("--json", type=Path, help="Write the report here too.")
    asked = parser.parse_args(arguments)
    report = soak(asked.run, asked.minutes, kill_every_s=asked.kill_every)
    text = json.dumps(report, indent=1)
    if asked.json:
        asked.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
