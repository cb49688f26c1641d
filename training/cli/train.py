"""``vizsla train``: train by a recipe: a matcher and its bundle, or what the recipe's kind says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from training.cli.train_frame import FrameKind
from training.ctr.encoding import FrameReader, plain_reader
from training.ctr.request import FrameRequest
from training.determinism import StopFlag, stop_on_interrupt
from training.distributed.cluster import LOCAL
from training.distributed.frames import RayReader
from training.distributed.launch import Workers
from training.pipeline import TrainedRun, TrainRequest, train_bundle
from training.recipe import parse_assignments, recipe_kind
from vizsla.cli_output import format_duration, print_json, print_table, say
from vizsla.config import default_threads, load_settings
from vizsla.datasets import resolve
from vizsla.datasets.frames import resolve_frame
from vizsla.errors import UsageError
from vizsla.registry import Registry

__all__ = ["train"]

MATCHER = "matcher"
KINDS = Registry(
    "kind of recipe",
    {
        "ranker": "training.cli.train_ranker:RANKER",
        "razor": "training.cli.train_razor:RAZOR",
    },
)
"""Kinds of recipe beside ``matcher``: what trains on a frame, each a ``FrameKind``."""

PLAIN, RAY = READERS = ("plain", "ray")
INTERRUPTED = 130
SHOWN = ("recall_at_10", "recall_at_20", "recall_at_50", "ndcg_at_20")
LABELS = {
    "matcher": "matcher (deep)",
    "two_sided_head": "its two-sided head",
    "two_sided_model": "two-sided model alone",
    "cooccurrence": "item-item counting",
}


def train(
    data: Annotated[str, typer.Option(help="Dataset name, or its directory.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    recipe: Annotated[str, typer.Option(help="Recipe name, or a .toml file.")] = "matcher",
    seed: Annotated[int, typer.Option(min=0, help="Fixes everything random.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Recipe setting, e.g. stage2.epochs=3.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again in this folder.")] = False,
    warm_start: Annotated[
        Path | None, typer.Option(help="Take stage 1 from another run's folder.")
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option(help="Take a finished run's choices, and train on its validation data too."),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            min=0, help="Torch threads; 0: OMP_NUM_THREADS, else one per core; one per worker."
        ),
    ] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Train on this many processes under Ray.")
    ] = None,
    reader: Annotated[
        str, typer.Option(help=f"Who encodes a frame: {', '.join(READERS)} (Ray Data).")
    ] = PLAIN,
    max_failures: Annotated[
        int, typer.Option(min=0, help="How often workers may die before giving up.")
    ] = 3,
    ray_address: Annotated[
        str, typer.Option(help="A running Ray (host:port); local: start one here.")
    ] = LOCAL,
    home: Annotated[Path | None, typer.Option(help="Vizsla's home folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Train a deep matcher, compare it with simpler models, and export it as a bundle.

    With --recipe ranker, train a CTR model on a training frame instead and export that.
    Ctrl-C saves a checkpoint; the same command with --resume goes on to the same weights.
    """
    flag = StopFlag()
    kind = recipe_kind(recipe)
    if kind != MATCHER:
        _refuse(kind, {"--warm-start": warm_start, "--refit": refit, "--workers": workers})
        frame = FrameRequest(
            recipe=recipe,
            frame_dir=resolve_frame(data, home or load_settings().home),
            out=out,
            seed=seed,
            assignments=parse_assignments(settings or []),
            threads=threads,
            resume=resume,
            fresh=fresh,
            should_stop=flag,
            reader=_frame_reader(reader, ray_address),
        )
        _train_on_frame(kind, frame, flag, as_json=as_json)
        return
    if reader != PLAIN:
        raise UsageError(f"--reader {reader} is for recipes that train on a frame: leave it out")
    request = TrainRequest(
        recipe=recipe,
        dataset_dir=resolve(data, home or load_settings().home),
        out=out,
        seed=seed,
        assignments=parse_assignments(settings or []),
        threads=threads,
        resume=resume,
        fresh=fresh,
        warm_start=warm_start,
        refit=refit,
        should_stop=flag,
        on_trained=flag.stop_at_once,
        workers=None if workers is None else Workers(workers, max_failures, ray_address),
    )
    run = _trained(request, flag)
    if run is None:
        _say_how_to_resume(out)
        raise typer.Exit(INTERRUPTED)
    _show(run, out, as_json=as_json)


def _frame_reader(name: str, address: str) -> FrameReader:
    if name not in READERS:
        raise UsageError(f"--reader {name}: there are {' and '.join(READERS)}")
    return RayReader(address, default_threads()) if name == RAY else plain_reader


def _refuse(kind: str, options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"{name} is for matchers, not for recipes of kind {kind}: leave it out"
            )


def _train_on_frame(kind: str, request: FrameRequest, flag: StopFlag, *, as_json: bool) -> None:
    of_frames: FrameKind = KINDS.load(kind)
    with stop_on_interrupt(flag):
        finished = of_frames.run(request, as_json=as_json)
    if not finished:
        _say_how_to_resume(request.out)
        raise typer.Exit(INTERRUPTED)


def _say_how_to_resume(out: Path) -> None:
    say(f"a checkpoint is in {out / 'checkpoint'}: go on with the same command and --resume")


def _trained(request: TrainRequest, flag: StopFlag) -> TrainedRun | None:
    """Train until it is done or stopped; once all weights are saved, any moment is good to stop."""
    try:
        with stop_on_interrupt(flag):
            return train_bundle(request)
    except KeyboardInterrupt:
        if not flag.at_once:
            raise
        return None


def _show(run: TrainedRun, out: Path, *, as_json: bool) -> None:
    if as_json:
        shown = {"recipe": run.recipe.name, "variants": run.recipe.variants, "reused": run.reused}
        print_json(shown | run.result.model_dump() | {"bundle": str(run.bundle_dir)})
        return
    if run.reused:
        say(f"{out} holds this very run, finished: nothing to train (use --fresh to train again)")
    columns = ["model", *SHOWN]
    rows = [
        [LABELS.get(name, name), *(figures.get(metric) for metric in SHOWN)]
        for name, figures in run.result.figures.items()
    ]
    title = f"validation, whole catalogue, seen items removed, {run.result.n_queries:,} queries"
    print_table(title, columns, rows, note=_verdict(run))


def _verdict(run: TrainedRun) -> str:
    lost = [LABELS.get(check.rival, check.rival) for check in run.result.gate if not check.met]
    verdict = (
        "publishable: the matcher beats every cheaper model above"
        if run.result.publishable
        else f"NOT publishable: recall_at_20 is not above that of {', '.join(lost)}"
    )
    gains = [
        f"{check.metric} minus that of {LABELS.get(check.rival, check.rival)}: {check.gain} (95 %)"
        for check in run.result.gate
    ]
    took = f"trained in {format_duration(run.result.train_s)}"
    return "\n".join([*gains, verdict, took, f"bundle: {run.bundle_dir}"])
