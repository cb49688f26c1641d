"""``vizsla bench training``: how ways to train compare, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from training.bench.form import BenchFile, conclude, new_result
from training.bench.pool import n_cores
from training.bench.training import PRESETS, Preset, TrainingPlan
from training.cli.bench_options import Fresh, Strict, ToFile
from training.provenance import provenance
from training.recipe import parse_assignments
from vizsla.config import load_settings
from vizsla.errors import UsageError

__all__ = ["named_paths", "training"]


def training(
    json: ToFile,
    preset: Annotated[str, typer.Option(help=f"What to compare: {', '.join(PRESETS)}.")],
    run: Annotated[
        list[str] | None,
        typer.Option(help="DATASET=PATH of a finished `vizsla train`; its stage 1 is forked."),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Of presets bns and speed; default: all of theirs.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Arm to train now, any number of times; default: all.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the arms' runs; default: beside --json.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="Trainings of every arm; 0: the preset's own number.")
    ] = 0,
    epochs: Annotated[
        int, typer.Option(min=0, help="Of preset bns; 0: the table's own number.")
    ] = 0,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Recipe setting of all arms.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Arms at a time, a thread each; 0: one per core.")
    ] = 0,
    max_queries: Annotated[
        int, typer.Option(min=0, help="Of presets that fork: queries per arm and part; 0 for all.")
    ] = 500,
    cpu_minutes: Annotated[
        float,
        typer.Option(
            min=0.01, help="Of presets that fork: longest training of an arm, in processor time."
        ),
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="First of the seeds.")] = 0,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare ways to train, over seeds: samplers, negatives, the adversarial task, speed.

    Every arm is a process with one thread. Finished arms are in the file, an interrupted fork
    goes on from its checkpoint.
    """
    compare: Preset = PRESETS.load(preset)
    plan = TrainingPlan(
        runs=named_paths("--run", run or ()),
        work=work or json.with_suffix(""),
        n_seeds=seeds,
        first_seed=seed,
        assignments=parse_assignments(assignments or ()),
        workers=workers or n_cores(),
        max_queries=max_queries,
        cpu_minutes=cpu_minutes,
        home=load_settings().home,
        datasets=tuple(dataset or ()),
        arms=tuple(arm or ()),
        epochs=epochs,
        fresh=fresh,
    )
    result = new_result("training", preset, provenance(seed), plan.kept)
    file = BenchFile(json, result, fresh=fresh)
    verdict = compare(plan, file)
    done = file.finish(verdict.targets, verdict.columns, verdict.summary)
    conclude(done, verdict.printed or verdict.columns, strict=strict)


def named_paths(option: str, texts: Sequence[str]) -> dict[str, Path]:
    """Read ``DATASET=PATH`` texts.

    Raises:
        UsageError: A text of another form; the message names the option.
    """
    named = {}
    for text in texts:
        name, found, path = text.partition("=")
        if not (name and found and path):
            raise UsageError(f"{option} {text!r}: give DATASET=PATH, for instance ml-1m=runs/ml-1m")
        named[name] = Path(path)
    return named
