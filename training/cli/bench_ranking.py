"""``vizsla bench ranking``: i-Razor beside its rivals, and what the ranker costs."""

from __future__ import annotations

from typing import Annotated

import typer

from training.bench.form import BenchFile, conclude, new_result
from training.bench.pool import n_cores
from training.bench.ranking.plan import PRESETS, Preset, RankingPlan
from training.cli.bench_options import Fresh, Strict, ToFile
from training.provenance import provenance
from vizsla.config import load_settings

__all__ = ["ranking"]


def ranking(
    json: ToFile,
    preset: Annotated[str, typer.Option(help=f"What to compare: {', '.join(PRESETS)}.")],
    frame: Annotated[
        list[str] | None, typer.Option(help="Training frame; default: all of the preset's.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Arm to train now, any number of times; default: all.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="Trainings of every arm; 0: the preset's own number.")
    ] = 0,
    max_rows: Annotated[
        int, typer.Option(min=0, help="Training rows that are read, to see that it works; 0: all.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Arms at a time, a thread each; 0: one per core.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="First of the seeds.")] = 0,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare which fields and widths a ranker keeps, over seeds, and what it costs to serve.

    Every arm is a process with one thread; finished arms are in the file.
    """
    compare: Preset = PRESETS.load(preset)
    plan = RankingPlan(
        home=load_settings().home,
        work=json.with_suffix(""),
        n_seeds=seeds,
        first_seed=seed,
        workers=workers or n_cores(),
        frames=tuple(frame or ()),
        arms=tuple(arm or ()),
        max_rows=max_rows,
    )
    file = BenchFile(json, new_result("ranking", preset, provenance(seed), plan.kept), fresh=fresh)
    verdict = compare(plan, file)
    done = file.finish(verdict.targets, verdict.columns, verdict.summary)
    conclude(done, verdict.printed or verdict.columns, strict=strict)
