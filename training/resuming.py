"""What a run's newest checkpoint says: where training will go on, and what has been learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training import checkpoint
from training.data import Split
from training.model import new_matcher
from training.recipe import Recipe
from training.run_log import RunLog
from vizsla.models.recommender.base import Matcher

__all__ = ["newest_matcher", "settle"]


def settle(out: Path) -> dict[str, Any]:
    """Cut the log of an unfinished run to its newest checkpoint, as going on from there would.

    Returns:
        The counters of the checkpoint, see ``training.loop.Counters``; empty without one.
    """
    newest = checkpoint.load_latest(out / "checkpoint")
    state = {} if newest is None else newest.state
    RunLog(out / "log.jsonl").cut(state.get("log_bytes", 0))
    return state


def newest_matcher(recipe: Recipe, split: Split, seed: int, out: Path) -> Matcher | None:
    """Return the matcher of a run's newest checkpoint, in evaluation mode; None without one."""
    newest = checkpoint.load_latest(out / "checkpoint")
    if newest is None:
        return None
    empty = recipe.model_copy(update={"item_init": "random"})  # an SVD only to be overwritten
    matcher = new_matcher(empty, split, seed)
    matcher.load_state_dict(newest.group("model"))
    return matcher.eval()
