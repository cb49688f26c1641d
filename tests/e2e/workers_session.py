"""Runs of ``vizsla train --workers`` and what befalls them, as a script for a network namespace.

``python workers_session.py VIZSLA HOME FOLDER OUT.json``; ``test_workers.py`` judges what it writes.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

SETTINGS = [
    "model_settings.embedding_size=8",
    "model_settings.attention_size=8",
    "model_settings.attention_hidden=8",
    "model_settings.item_hidden=8",
    "model_settings.score_hidden=[8]",
    "model_settings.encoder=pool",
    "max_history=8",
    "log_every=1",
    "stage1.epochs=12",
    "stage1.patience=0",
    "stage1.batch_size=4",
    "stage1.negatives.n_negatives=16",
    "stage2.epochs=2",
    "stage2.batch_size=8",
    "stage2.negatives.n_negatives=8",
    "stage2.hard.n_negatives=4",
]
STOP_AFTER = 30
"""Lines of the log after which a run is disturbed: in the middle of its third epoch."""
END_LIMIT_S = 30.0
LOOK_EVERY_S = 0.05
"""Between looks at what runs: looking without a pause takes a core from what is looked at."""
WORKER = "ray::RayTrainWorker"


def main(vizsla: str, home: str, folder: str, out: str) -> None:
    session = Session(vizsla, home, Path(folder))
    result = {
        "alone": session.run("alone", "--set", "shards=4"),
        "two": session.run("two", "--workers", "2"),
        "killed": session.run("killed", "--workers", "2", disturb=kill_a_worker),
        "terminated": session.run("terminated", "--workers", "2", disturb=terminate),
        "resumed": session.run("terminated", "--set", "shards=4", "--resume"),
        "interrupted": session.run("interrupted", "--workers", "2", disturb=interrupt),
        "diverged": session.run("diverged", "--workers", "2", "--set", "stage1.learning_rate=1e30",
                                "--set", "stage1.gradient_clip=0",
                                "--set", "model_settings.learn_temperature=true"),
        "left": left_of_ray(),
    }  # fmt: skip
    Path(out).write_text(json.dumps(result))


class Session:
    """Starts commands and collects how they ended."""

    def __init__(self, vizsla: str, home: str, folder: Path) -> None:
        self.vizsla, self.home, self.folder = vizsla, home, folder

    def run(self, name, *further, disturb=None):
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        words = ["train", "--data", "synthetic", "--home", self.home, "--threads", "1"]
        out = self.folder / name
        with (self.folder / f"{name}.stderr").open("w+") as printed:
            process = subprocess.Popen(
                [self.vizsla, *words, "--out", out, *settings, *further],
                stdout=subprocess.DEVNULL,
                stderr=printed,
                start_new_session=True,
            )
            told = disturb(process, out) if disturb else None
            status = process.wait(240)
            printed.seek(0)
            text = printed.read()
        return {"status": status, "said": text, "told": told, **weights(out), **files(out)}


def weights(out):
    """Hashes of the weights after each stage."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.glob("stage*.safetensors"))
    }


def files(out):
    """What is in the folder, and the log."""
    log = out / "log.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {"files": sorted(path.name for path in out.iterdir()), "log": records}


def commands():
    """Command lines of all processes, by their id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(path.parent.name)] = path.read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def left_of_ray():
    """Processes of Ray that do not end by themselves; the last ones end after the command."""
    deadline_s = time.monotonic() + END_LIMIT_S
    while True:
        left = [line for line in commands().values() if "ray::" in line or "raylet" in line]
        if not left or time.monotonic() > deadline_s:
            return left
        Event().wait(LOOK_EVERY_S)


def workers():
    return sorted(pid for pid, line in commands().items() if line.startswith(WORKER))


def goes_on(process):
    """Wait a moment for a process to end; return whether it has not."""
    try:
        process.wait(LOOK_EVERY_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def wait_for_lines(process, out):
    """Watch the log until the run is well under way."""
    log = out / "log.jsonl"
    while goes_on(process):
        if log.exists() and log.read_text().count("\n") >= STOP_AFTER:
            return
    raise SystemExit(f"{out.name} ended before it could be disturbed")


def kill_a_worker(process, out):
    """SIGKILL; returns the workers before and after."""
    wait_for_lines(process, out)
    before = workers()
    os.kill(before[-1], signal.SIGKILL)
    after = before
    while goes_on(process) and not (len(after) == 2 and not set(after) & set(before)):
        after = workers()
    return {"before": before, "after": after}


def terminate(process, out):
    wait_for_lines(process, out)
    process.terminate()


def interrupt(process, out):
    """Ctrl-C reaches all processes of the terminal's group."""
    wait_for_lines(process, out)
    os.killpg(process.pid, signal.SIGINT)


if __name__ == "__main__":
    main(*sys.argv[1:])
