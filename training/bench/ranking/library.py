"""The same DeepFM by us and by a public library: the same rows, sizes, optimiser and batches.

Both read fields of one value alone, since libraries differ in how they pool lists.  First weights
are drawn from the same distributions, with numbers and an order of each side's own; both keep the epoch with the best validation AUC.  Speed is rows per
second of processor time on one thread, in training alone, so that a busy machine changes little.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bench.form import Row, Target
from training.bench.rival_env import EnvironmentSpec, rival_python, speed_rivals
from training.bench.rival_run import run_driver
from training.bench.rivals.drive_ctr import CtrJob
from training.ctr.encoding import encode_split, fit_encoders
from training.ctr.loop import train_ranker
from training.ctr.metrics import auc, log_loss
from training.ctr.predicting import predict
from training.ctr.settings import RankerSettings
from training.determinism import torch_threads
from vizsla.clock import ProcessClock
from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import Frame
from vizsla.fields import EncodedRows

__all__ = ["JOB", "LibraryPlan", "library_rivals", "library_rows", "library_targets"]

OURS = "vizsla"
MOST_DIFFERENCE = 0.002
IN_MEMORY = 1 << 24
RIVALS_DIR = Path(__file__).parents[1] / "rivals"
JOB = CtrJob(
    model="deepfm",
    n_codes=(),
    dim=16,
    hidden=(128, 64),
    learning_rate=1e-3,
    batch_size=1024,
    epochs=30,
    patience=3,
    seed=0,
)


@dataclass(frozen=True, slots=True)
class LibraryPlan:
    """What to compare.

    Attributes:
        frame: Its fields of one value are read.
        root: Folder of the rivals' environments.
        seeds: A turn each: the library, then we.
        job: Hyper-parameters of both; tables and seed are filled in.
    """

    frame: Frame
    root: Path
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    job: CtrJob = field(default=JOB)


def library_rivals() -> EnvironmentSpec:
    """Return the environment of the library, with our own version of torch."""
    requirements = RIVALS_DIR / "ctr_requirements.txt"
    return EnvironmentSpec("ctr", requirements, speed_rivals().attempts)


def library_rows(plan: LibraryPlan) -> Iterator[Row]:
    """Train both with every seed and yield a row for each: ``system``, ``seed``, figures, speed.

    Raises:
        RivalEnvironmentError: The library could not be installed.
        TrainingError: It failed.
    """
    python = rival_python(plan.root, library_rivals())
    with TemporaryDirectory(prefix="vizsla-rival-") as name:
        folder = Path(name)
        schema, rows = _encoded(plan, folder)
        arrays: dict[str, Any] = {
            f"{split}_{part}": a for split, one in rows.items() for part, a in _arrays(one)
        }
        np.savez(folder / "rows.npz", **arrays)
        job = replace(plan.job, n_codes=tuple(one.n_codes for one in schema.kept))
        for seed in plan.seeds:
            one = replace(job, seed=seed, rows=str(folder / "rows.npz"))
            yield _row("deepctr-torch", seed, rows, *_library(python, one, folder))
            yield _row(OURS, seed, rows, *_ours(schema, rows, one))


def library_targets(rows: list[Row]) -> list[Target]:
    """Compare test AUC, mean over the seeds, and speed, median over the turns."""
    ours = [row for row in rows if row["system"] == OURS]
    theirs = [row for row in rows if row["system"] != OURS]
    if not ours or len(ours) != len(theirs):
        return []
    difference = fmean(r["test_auc"] for r in ours) - fmean(r["test_auc"] for r in theirs)
    ratio = median(
        a["rows_per_cpu_s"] / b["rows_per_cpu_s"] for a, b in zip(ours, theirs, strict=True)
    )
    return [
        Target.of("test AUC minus the library's, absolute", abs(difference), "<=", MOST_DIFFERENCE),
        Target.of("rows/s over the library's", ratio, ">=", 1.0),
    ]


def _encoded(plan: LibraryPlan, folder: Path) -> tuple[RankingSchema, dict[str, EncodedRows]]:
    encoders = fit_encoders(plan.frame, folder / "fields")
    names = [one.name for one in encoders.fields if not one.is_list]
    kept = encoders.keep(names)
    rows = {
        split: encode_split(plan.frame, kept, split, folder / split, IN_MEMORY)
        for split in ("train", "valid", "test")
    }
    return encoders.schema(plan.frame.manifest, dict.fromkeys(names, plan.job.dim)), rows


def _arrays(rows: EncodedRows) -> Iterator[tuple[str, NDArray[np.generic]]]:
    yield "codes", np.stack(list(rows.single.values()), axis=1).astype(np.int64)
    assert rows.labels is not None
    yield "labels", rows.labels


def _library(
    python: Path, job: CtrJob, folder: Path
) -> tuple[dict[str, NDArray[np.floating]], dict[str, Any]]:
    told = run_driver(python, RIVALS_DIR / "drive_ctr.py", asdict(job), folder, "deepctr-torch")
    with np.load(folder / "predictions.npz", allow_pickle=False) as file:
        return dict(file), json.loads(told)


def _ours(
    schema: RankingSchema, rows: Mapping[str, EncodedRows], job: CtrJob
) -> tuple[dict[str, NDArray[np.floating]], dict[str, Any]]:
    settings = RankerSettings(
        model=job.model,
        model_settings={"hidden": list(job.hidden)},
        epochs=job.epochs,
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        patience=job.patience,
    )
    with torch_threads(1):
        found = train_ranker(
            schema, rows["train"], rows["valid"], settings, job.seed, clock=ProcessClock()
        )
    predicted = {split: predict(found.ranker, rows[split]) for split in ("valid", "test")}
    figures = [one["auc"] for one in found.history]
    told = {
        "version": OURS,
        "epochs": len(figures),
        "best_epoch": int(np.argmax(figures)) + 1,
        "rows_per_cpu_s": fmean(one["rows_per_s"] for one in found.history),
    }
    return dict(predicted), told


def _row(
    system: str,
    seed: int,
    rows: Mapping[str, EncodedRows],
    predicted: Mapping[str, NDArray[np.floating]],
    told: Mapping[str, Any],
) -> Row:
    figures: dict[str, float] = {}
    for split in ("valid", "test"):
        labels = rows[split].labels
        assert labels is not None
        figures[f"{split}_auc"] = auc(labels, predicted[split])
        figures[f"{split}_log_loss"] = log_loss(labels, predicted[split])
    return {"system": system, "seed": seed, **figures, **told}
