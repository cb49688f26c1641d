"""Searches with ``vizsla tune``, one of them killed, as a script for a network namespace.

``python tune_session.py VIZSLA HOME FOLDER OUT.json``; ``test_tune.py`` judges what it writes.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

SETTINGS = [
    "model_settings.embedding_size=8",
    "model_settings.item_hidden=8",
    "model_settings.score_hidden=[8]",
    "model_settings.encoder=pool",
    "model=two_sided",
    "max_history=8",
    "stage1.epochs=8",
    "stage1.batch_size=8",
    "stage1.negatives.n_negatives=16",
    "stage2.epochs=0",
]
SEARCH = ["--range", "stage1.learning_rate={log=[1e-4,1e-1]}", "--range", "stage1.reg=[0.0,0.1]"]
SEARCH += ["--trials", "5", "--grace", "2", "--concurrent", "2", "--json"]


def main(vizsla: str, home: str, folder: str, out: str) -> None:
    whole, cut = Path(folder) / "whole", Path(folder) / "cut"
    common = ["--data", "synthetic", "--home", home]
    settings = [word for setting in SETTINGS for word in ("--set", setting)]

    def tune(target, *further):
        return start([vizsla, "tune", *common, "--out", target, *settings, *SEARCH, *further])

    result = {"whole": ended(tune(whole))}
    killed = tune(cut)
    while goes_on(killed) and not list(cut.glob("trials/*/checkpoint/latest")):
        pass
    os.killpg(killed.pid, signal.SIGKILL)
    result["killed"] = ended(killed)
    result["done when killed"] = len(list(cut.glob("trials/*/trial.json")))
    result["refused"] = ended(tune(cut))
    result["resumed"] = ended(tune(cut, "--resume"))
    best = ["--recipe", whole / "best.toml", "--threads", "1"]
    result["train"] = ended(start([vizsla, "train", *common, "--out", whole / "run", *best]))
    result["files"] = sorted(path.name for path in whole.iterdir())
    Path(out).write_text(json.dumps(result))


def goes_on(process):
    """Wait a moment for a process to end; return whether it has not."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return True
    return False


def start(command):
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    out, said = process.communicate(timeout=300)
    return {"status": process.returncode, "out": out, "said": said}


if __name__ == "__main__":
    main(*sys.argv[1:])
