"""Presets ``serving`` and ``library``: a request as the server answers it, and training beside a public library."""

from __future__ import annotations

from functools import partial

from training.bench.form import BenchFile, Row, Target
from training.bench.ranking.library import LibraryPlan, library_rows, library_targets
from training.bench.ranking.plan import RankingPlan
from training.bench.ranking.serving import (
    COLUMNS as SERVING_COLUMNS,
    draw_requests,
    serving_rows,
    serving_targets,
)
from training.bench.training import Verdict
from training.ctr.request import FrameRequest
from training.razor.pipeline import train_razor
from vizsla.bundles.ranker import read_ranker
from vizsla.datasets.frames import read_frame, resolve_frame

__all__ = ["run_library", "run_serving"]

FRAMES = ("ml-100k-ctr",)
SEEDS = 5
LIBRARY_COLUMNS = (
    "frame",
    "system",
    "seed",
    "test_auc",
    "test_log_loss",
    "valid_auc",
    "epochs",
    "rows_per_cpu_s",
    "version",
)


def run_serving(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Train the full and the razor's ranker, then answer the same requests with both."""
    targets: list[Target] = []
    for name in plan.frames or FRAMES:
        rows = file.step(name, partial(_served, plan, name))
        targets += serving_targets(rows)
    return Verdict(targets, ("frame", *SERVING_COLUMNS))


def run_library(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Train the same model with the library and with us, in turns."""
    targets: list[Target] = []
    for name in plan.frames or FRAMES:
        rows = file.step(name, partial(_beside, plan, name))
        targets += library_targets(rows)
    return Verdict(targets, LIBRARY_COLUMNS)


def _served(plan: RankingPlan, name: str) -> list[Row]:
    directory, out = resolve_frame(name, plan.home), plan.work / f"{name}-{plan.first_seed}"
    request = FrameRequest("razor", directory, out, seed=plan.first_seed, threads=1, resume=True)
    train_razor(request)
    full, pruned = (read_ranker(out / kind / "ranker") for kind in ("full", "pruned"))
    frame = read_frame(directory)
    test = frame.table("test")
    fields = frame.manifest.fields
    items = [one.name for one in fields if one.owner == "item"]
    requests = draw_requests(test, items, seed=plan.first_seed)
    return [{"frame": name, **row} for row in serving_rows(full, pruned, requests, test)]


def _beside(plan: RankingPlan, name: str) -> list[Row]:
    frame = read_frame(resolve_frame(name, plan.home))
    seeds = tuple(plan.seeds(SEEDS))
    rows = library_rows(LibraryPlan(frame, plan.home / "rivals", seeds))
    return [{"frame": name, **row} for row in rows]
