"""Where a run's folder says that training will go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training import checkpoint
from training.run_log import RunLog

__all__ = ["settle"]


def settle(out: Path) -> dict[str, Any]:
    """Cut the log of an unfinished run to its newest checkpoint, as going on from there would.

    Returns:
        The counters of the checkpoint, see ``training.loop.Counters``; empty without one.
    """
    newest = checkpoint.latest(out / "checkpoint")
    state = {} if newest is None else checkpoint.load(newest).state
    RunLog(out / "log.jsonl").cut(state.get("log_bytes", 0))
    return state
