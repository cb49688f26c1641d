"""Preset ``scale``: training on more rows than memory holds, and tables of many rows.

Every size is trained in a process of its own, which makes the peak its own; the frame is made before it,
and removed after it.  Speeds are per second of processor time on one thread, so that a busy machine
changes little.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from training.bench.form import BenchFile, Row, Target
from training.bench.ranking.peaks import MIB, Peaks
from training.bench.ranking.plan import RankingPlan
from training.bench.ranking.tables import TableJob
from training.bench.ranking.training import trained_run
from training.bench.training import Verdict
from training.ctr.request import FrameRequest
from training.ctr.settings import TableOptimizer
from vizsla.clock import ProcessClock, SystemClock
from vizsla.datasets.frames import write_frame
from vizsla.datasets.frames.synthetic import BAYES_FILE, SOURCE, SyntheticCtrOptions
from vizsla.datasets.reporting import reported

__all__ = ["ScaleJob", "run_scale", "scale_targets"]

SIZES = (40_000_000, 8_000_000, 1_000_000)
"""Rows of frames, the largest first: it is the one that may not fit."""

TABLE_ROWS = (1_000_000, 10_000_000)
SPARSE: tuple[TableOptimizer, ...] = ("sparse_adam", "rowwise_adagrad")
EPOCHS = 2
MOST_GIB = 8.0
COLUMNS = (
    "part",
    "rows",
    "table_rows",
    "table_optimizer",
    "epochs",
    "rows_per_cpu_s",
    "encode_cpu_s",
    "train_cpu_s",
    "cpu_s",
    "seconds",
    "peak_rss_mib",
    "peak_anonymous_mib",
    "disk_mib",
    "table_mib",
    "optimizer_mib",
    "test_auc",
    "bayes_auc",
)


@dataclass(frozen=True, slots=True)
class ScaleJob:
    """One training, in a process of its own.

    Attributes:
        frame_dir: A ``synthetic-ctr`` frame.
        out: Folder of the run; one that was stopped goes on.
        seed: Of the training.
        n_rows: Of the whole frame.
        epochs: Passes over its training rows.
    """

    frame_dir: Path
    out: Path
    seed: int
    n_rows: int
    epochs: int = EPOCHS

    def __call__(self) -> list[Row]:
        """Train ``vizsla train --recipe ranker``'s ``dnn`` with its own settings.

        Raises:
            TrainingError: It was stopped.
        """
        clock, resumed = SystemClock(), (self.out / "checkpoint").is_dir()
        started_s, started_cpu_s = clock.monotonic_s(), process_time()
        with Peaks(self.out) as peaks:
            result = trained_run(self._request()).result
        bayes = json.loads((self.frame_dir / BAYES_FILE).read_text(encoding="utf-8"))
        return [
            {
                "part": "rows",
                "rows": self.n_rows,
                "epochs": len(result.history),
                "rows_per_cpu_s": round(result.rows_per_s),
                "encode_cpu_s": round(result.encode_s, 1),
                "train_cpu_s": round(result.train_s, 1),
                "cpu_s": round(process_time() - started_cpu_s, 1),
                "seconds": round(clock.monotonic_s() - started_s, 1),
                "resumed": resumed,
                "peak_rss_mib": round(peaks.resident / MIB),
                "peak_anonymous_mib": round(peaks.anonymous / MIB),
                "disk_mib": round(peaks.disk / MIB),
                "test_auc": result.figures["test"]["auc"],
                "test_log_loss": result.figures["test"]["log_loss"],
                "bayes_auc": bayes["auc"],
                "bayes_log_loss": bayes["log_loss"],
            }
        ]

    def _request(self) -> FrameRequest:
        return FrameRequest(
            "ranker",
            self.frame_dir,
            self.out,
            seed=self.seed,
            assignments={"model": "dnn", "epochs": self.epochs},
            clock=ProcessClock(),
        )


def run_scale(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Train on frames of all sizes, then with tables of all sizes, one after the other."""
    for n_rows in _sizes(plan.max_rows, SIZES):
        _train(plan, file, n_rows)
    file.steps(dict(_table_jobs(plan)), workers=1)
    return Verdict(scale_targets(file.result.rows), COLUMNS)


def scale_targets(rows: list[Row]) -> list[Target]:
    """Ask for the memory of the largest frame, pages of mapped files included."""
    sizes = [row for row in rows if row["part"] == "rows"]
    if not sizes:
        return []
    largest = max(sizes, key=lambda row: int(row["rows"]))
    name = f"peak memory at {largest['rows']:,} rows, GiB"
    return [Target.of(name, largest["peak_rss_mib"] / 1024, "<=", MOST_GIB)]


def _train(plan: RankingPlan, file: BenchFile, n_rows: int) -> None:
    """Keep a size's row; where it is missing, make the frame, train, and remove both."""
    name = f"rows-{n_rows}"
    if all(row["step"] != name for row in file.result.rows):
        frame = plan.work / f"frame-{n_rows}-{plan.first_seed}"
        _make_frame(frame, n_rows, plan.first_seed)
        out = plan.work / f"run-{n_rows}-{plan.first_seed}"
        file.steps({name: ScaleJob(frame, out, plan.first_seed, n_rows)}, workers=1)
        for folder in (frame, out):
            shutil.rmtree(folder)


def _make_frame(directory: Path, n_rows: int, seed: int) -> None:
    if directory.is_dir():
        return
    options = SyntheticCtrOptions(rows=n_rows, seed=seed)
    with reported(directory.name, "rows", n_rows) as report:
        write_frame(directory, SOURCE.draft(directory, options), progress=report)


def _table_jobs(plan: RankingPlan) -> Iterator[tuple[str, TableJob]]:
    """Yield all of them; whole tables are updated at the smallest size alone, which tells enough."""
    for place, n_rows in enumerate(_sizes(plan.max_rows, TABLE_ROWS)):
        kinds: tuple[TableOptimizer, ...] = ("adam", *SPARSE) if not place else SPARSE
        for kind in kinds:
            yield f"table-{n_rows}-{kind}", TableJob(n_rows, kind, plan.first_seed, plan.work)


def _sizes(most: int, own: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes that are allowed; the limit itself where none is."""
    return tuple(size for size in own if not most or size <= most) or (most,)
