"""What a user asks for who trains on a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.ctr.encoding import FrameReader, plain_reader
from vizsla.clock import Clock, SystemClock

__all__ = ["FrameRequest"]


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """A training run on a frame.

    Attributes:
        recipe: Name or file.
        frame_dir: The frame.
        out: The run's folder.
        seed: Fixes everything random.
        assignments: Dotted recipe setting to value.
        threads: Torch threads; 0 for what ``OMP_NUM_THREADS`` says, else one per core.
        resume: Go on with an unfinished run.
        fresh: Start again in a folder that holds a run.
        should_stop: Asked after every step.
        clock: Tells the time.
        reader: Who reads and encodes the frame.
    """

    recipe: str
    frame_dir: Path
    out: Path
    seed: int = 0
    assignments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 0
    resume: bool = False
    fresh: bool = False
    should_stop: Callable[[], bool] = lambda: False
    clock: Clock = field(default_factory=SystemClock)
    reader: FrameReader = plain_reader
