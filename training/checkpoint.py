"""Checkpoints: everything that training needs to go on as if it had never stopped.

::

    checkpoint/step-00000120/tensors.safetensors   weights, best weights, optimizer, generators
    checkpoint/step-00000120/state.json            counters
    checkpoint/latest                              name of the newest complete one

A checkpoint appears whole or not at all; the two newest are kept.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vizsla.errors import CorruptArtifactError
from vizsla.files import atomic_directory, write_text

__all__ = ["Checkpoint", "flatten_optimizer", "latest", "load", "restore_optimizer", "save"]

_LATEST = "latest"
_KEPT = 2
Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One moment of a run.

    Attributes:
        tensors: Name with a prefix (``model/``, ``best/``, ``optimizer/``, ``rng/``) to tensor.
        state: Counters and figures, JSON-able.
    """

    tensors: Tensors
    state: dict[str, Any]

    def group(self, prefix: str) -> Tensors:
        """Return the tensors of one prefix, by the rest of their names."""
        start = f"{prefix}/"
        return {n[len(start) :]: t for n, t in self.tensors.items() if n.startswith(start)}


def save(folder: Path, checkpoint: Checkpoint, serial: int) -> Path:
    """Write a checkpoint, make it the latest, and drop all but the two newest.

    Args:
        folder: The run's ``checkpoint`` folder.
        checkpoint: What to write.
        serial: Rises within a run; names the checkpoint.

    Returns:
        The directory that was written.
    """
    target = folder / f"step-{serial:08d}"
    shutil.rmtree(target, ignore_errors=True)  # of a run that went on from an older one
    with atomic_directory(target) as temporary:
        own = {n: t.detach().clone().contiguous() for n, t in checkpoint.tensors.items()}
        save_file(own, temporary / "tensors.safetensors")
        (temporary / "state.json").write_text(json.dumps(checkpoint.state), encoding="utf-8")
    write_text(folder / _LATEST, target.name)
    for old in sorted(folder.glob("step-*"))[:-_KEPT]:
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return target


def latest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint, or None."""
    pointer = folder / _LATEST
    if not pointer.is_file():
        return None
    return folder / pointer.read_text(encoding="utf-8").strip()


def load_latest(folder: Path) -> Checkpoint | None:
    """Read the newest complete checkpoint; None where there is none.

    Raises:
        CorruptArtifactError: It cannot be read.
    """
    newest = latest(folder)
    return None if newest is None else load(newest)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CorruptArtifactError: A file is missing or unreadable.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        return Checkpoint(load_file(path / "tensors.safetensors"), state)
    except (OSError, ValueError, SafetensorError) as error:
        raise CorruptArtifactError(
            f"checkpoint {path} cannot be read ({error}); start again with --fresh"
        ) from error


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return an optimizer's state as ``parameter number/name`` to tensor."""
    return {
        f"{number}/{name}": torch.as_tensor(value)
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what ``flatten_optimizer`` returned; the learning rate is not part of it."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
