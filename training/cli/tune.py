"""``vizsla tune``: search for better recipe settings on validation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from training.determinism import StopFlag, stop_on_interrupt
from training.distributed.tune import run_trials
from training.model import check_recipe, data_kinds
from training.recipe import parse_assignments
from training.splits import default_spec, load_split
from training.tuning.outcome import best_of, collect, table_rows, write_best
from training.tuning.search_folder import open_search
from training.tuning.space import parse_space, read_space
from training.tuning.trial import Search, check_metric, trial_recipe
from vizsla.cli_output import print_json, print_table, say
from vizsla.config import load_settings
from vizsla.datasets import read_manifest, resolve
from vizsla.errors import UsageError

__all__ = ["tune"]

INTERRUPTED = 130


def tune(
    data: Annotated[str, typer.Option(help="Dataset name, or its directory.")],
    out: Annotated[Path, typer.Option(help="Folder of the search.")],
    trials: Annotated[int, typer.Option(min=2, help="How many; the first changes nothing.")] = 16,
    space: Annotated[Path | None, typer.Option(help="TOML file of settings to ranges.")] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="E.g. stage1.learning_rate={log=[1e-4,1e-2]} or KEY=[1,2]."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Recipe name, or a .toml file.")] = "matcher",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Recipe setting of all trials.")
    ] = None,
    metric: Annotated[str, typer.Option(help="Validation figure to maximise.")] = "recall_at_20",
    grace: Annotated[
        int, typer.Option(min=1, help="Validations before a trial may be stopped.")
    ] = 3,
    concurrent: Annotated[
        int, typer.Option(min=0, help="Trials at a time, a core each; 0: one per core.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Fixes draws and training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search.")] = False,
    home: Annotated[Path | None, typer.Option(help="Vizsla's home folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Try recipe settings, rank them on validation, and write the best as a recipe file.

    Test is never looked at. Ctrl-C stops; the same command with --resume goes on.
    """
    dataset_dir = resolve(data, home or load_settings().home)
    manifest = read_manifest(dataset_dir)
    searched = (read_space(space) if space else {}) | parse_space(parse_assignments(ranges or []))
    if not searched:
        raise UsageError("nothing to search: give --space FILE.toml or --range KEY=RANGE")
    search = Search(
        recipe=recipe,
        kinds=data_kinds(manifest),
        assignments=parse_assignments(settings or []),
        space=searched,
        metric=metric,
        seed=seed,
        n_trials=trials,
        grace=grace,
        content_hash=manifest.content_hash,
    )
    check_metric(metric)
    plain = trial_recipe(search, 0)
    spec = default_spec(manifest).model_copy(update={"max_history": plain.max_history})
    check_recipe(plain, load_split(dataset_dir, spec))
    open_search(out, search, resume=resume)
    flag = StopFlag()
    with stop_on_interrupt(flag):
        done = run_trials(search, dataset_dir, spec, out, concurrent or os.cpu_count() or 1, flag)
    if not done:
        say(f"every trial has its checkpoint in {out}: go on with the same command and --resume")
        raise typer.Exit(INTERRUPTED)
    _show(search, out, as_json=as_json)


def _show(search: Search, out: Path, *, as_json: bool) -> None:
    results = collect(search, out)
    best = best_of(results)
    path = write_best(search, best, out)
    if as_json:
        print_json({"metric": search.metric, "best": best, "recipe": path, "trials": results})
        return
    columns = ["trial", "state", search.metric, "validations", *search.space]
    note = f"best: trial {best.trial}; train with --recipe {path}"
    title = "validation, whole catalogue, seen items removed; stopped: the last value seen"
    print_table(title, columns, table_rows(search, results), note=note)
