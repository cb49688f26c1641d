"""Where a run is, kept in checkpoints: weights, optimiser, randomness, counters and the log's length."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import checkpoint
from training.checkpoint import Checkpoint
from training.loop import Counters, StageLoop
from training.objective import NegativeSource
from training.run_log import RunLog

__all__ = ["RunState", "restore_loop"]


class RunState:
    """The counters and the log of a run, and its checkpoints.

    Args:
        out: The run's folder.
        writes: False for a worker that leaves all files to another one.
    """

    def __init__(self, out: Path, *, writes: bool = True) -> None:
        self.counters = Counters()
        self.log = RunLog(out / "log.jsonl" if writes else Path(os.devnull))
        self._folder, self._writes = out / "checkpoint", writes

    @property
    def newest(self) -> str:
        """Name of the newest checkpoint, for people."""
        return str(checkpoint.latest(self._folder) or "none yet")

    def open(self, *, resume: bool) -> Checkpoint | None:
        """Go back to the newest checkpoint and return it, or begin, with an empty log.

        Args:
            resume: Whether to look for a checkpoint at all.

        Raises:
            CorruptArtifactError: It cannot be read.
        """
        found = checkpoint.load_latest(self._folder) if resume else None
        if found is None:
            self.log.cut(0)
            return None
        self.counters = Counters(**found.state)
        self.log.cut(self.counters.log_bytes)
        return found

    def save(self, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Write a checkpoint of tensors in named groups."""
        counters = self.counters
        counters.serial, counters.log_bytes = counters.serial + 1, self.log.n_bytes
        if not self._writes:
            return
        tensors = {f"{g}/{name}": t for g, group in groups.items() for name, t in group.items()}
        checkpoint.save(self._folder, Checkpoint(tensors, asdict(counters)), counters.serial)

    def save_loop(self, loop: StageLoop[Any], sources: Sequence[NegativeSource]) -> None:
        """Write a checkpoint from inside a stage."""
        rng = {
            f"{source.name}.{key}": tensor
            for source in sources
            for key, tensor in source.sampler.state().items()
        }
        self.save(
            {
                "model": loop.model.state_dict(),
                "best": loop.best,
                "optimizer": checkpoint.flatten_optimizer(loop.optimizer),
                "rng": rng | {"global": torch.random.get_rng_state()},
            }
        )


def restore_loop(
    found: Checkpoint, loop: StageLoop[Any], sources: Sequence[NegativeSource]
) -> None:
    """Put a checkpoint's moment back; one from between two stages holds nothing but weights."""
    states = found.group("rng")
    if not states:
        return
    loop.best = found.group("best")
    checkpoint.restore_optimizer(loop.optimizer, found.group("optimizer"))
    torch.random.set_rng_state(states["global"])
    for source in sources:
        prefix = f"{source.name}."
        own = {key.removeprefix(prefix): t for key, t in states.items() if key.startswith(prefix)}
        source.sampler.load_state(own)
