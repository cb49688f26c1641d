"""What the presets of ``vizsla bench ranking`` are given, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.bench.form import BenchFile
from training.bench.training import Verdict
from vizsla.registry import Registry

__all__ = ["PRESETS", "Preset", "RankingPlan"]


@dataclass(frozen=True, slots=True)
class RankingPlan:
    """What the user asked for, whatever the preset.

    Attributes:
        home: Where frames are.
        work: Folder for what a preset makes beside its rows.
        n_seeds: Trainings of every arm; 0 for the preset's own number.
        first_seed: Seeds count from here.
        workers: Processes, one torch thread each.
        frames: Names of the frames; empty for the preset's own.
        arms: Names of the arms to train now; empty for all.
        max_rows: Training rows of a frame that are read (rows of a frame that is made); 0 for all.
    """

    home: Path
    work: Path
    n_seeds: int = 0
    first_seed: int = 0
    workers: int = 1
    frames: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    max_rows: int = 0

    def seeds(self, own: int) -> range:
        """Return the seeds of every arm, where a preset has ``own`` by itself."""
        return range(self.first_seed, self.first_seed + (self.n_seeds or own))

    @property
    def kept(self) -> dict[str, Any]:
        """What the rows depend on besides arm and seed: a file of other settings is refused."""
        return {"max_rows": self.max_rows}


Preset = Callable[[RankingPlan, BenchFile], Verdict]
"""Adds its rows to the file, draws its pictures beside it, and judges."""

PRESETS = Registry(
    "preset",
    {
        "quality": "training.bench.ranking.quality:run_quality",
        "noise": "training.bench.ranking.quality:run_noise",
        "planted": "training.bench.ranking.planted:run_planted",
        "serving": "training.bench.ranking.wholes:run_serving",
        "calibration": "training.bench.ranking.calibration:run_calibration",
        "library": "training.bench.ranking.wholes:run_library",
        "scale": "training.bench.ranking.scale:run_scale",
    },
)
"""Preset to the function that runs it; adding one is a file and a line."""
