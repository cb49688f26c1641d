"""``vizsla bench retrieval``: the walk beside its rivals, coverage against cost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from graph_index.device.places import open_device
from training.bench.form import BenchFile, Row, conclude, new_result
from training.bench.retrieval.arena import Arena
from training.bench.retrieval.presets import PRESETS
from training.bench.retrieval.run import COLUMNS, run_retrieval, shown
from training.cli.bench_options import Fresh, Strict, ToFile
from training.cli.bench_training import named_paths
from training.evaluate import open_split
from training.provenance import provenance
from vizsla.bundles import Bundle, load
from vizsla.cli_output import say
from vizsla.config import load_settings
from vizsla.datasets import resolve
from vizsla.errors import UsageError
from vizsla.registry import look_up

__all__ = ["retrieval"]


def retrieval(
    json: ToFile,
    preset: Annotated[str, typer.Option(help=f"Sizes and targets: {', '.join(PRESETS)}.")],
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="Bundle with a graph, or a folder of `vizsla train`; default runs/PRESET."
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=PATH of another bundle of the same data, measured at the walks' points."
        ),
    ] = None,
    queries: Annotated[
        int,
        typer.Option(
            min=0, help="Test queries, and twice the validation queries; 0: the preset's."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the samples of queries.")] = 0,
    device: Annotated[
        str | None,
        typer.Option(help="Also search on a torch device: cpu, cuda or cuda:N (walk_device)."),
    ] = None,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare the walk with rescoring, greedy search and controls under one bundle's scorer.

    Operating points are chosen on validation queries and reported on test queries, all systems
    side by side in one process. Figures are per core: set OMP_NUM_THREADS=1.
    """
    chosen = look_up("preset", preset, PRESETS)
    if device is not None:
        open_device(device)
    opened = load(bundle or Path("runs") / preset)
    _check_preset(preset, opened)
    others = {name: load(path) for name, path in named_paths("--beside", beside or []).items()}
    n_queries = queries or chosen.n_queries
    split = open_split(opened, resolve(opened.manifest.dataset.name, load_settings().home))
    kept = {"bundle": opened.manifest.content_hash, "queries": n_queries}
    kept |= {f"beside {name}": other.manifest.content_hash for name, other in others.items()}
    if device is not None:
        kept["device"] = device
    file = BenchFile(json, new_result("retrieval", preset, provenance(seed), kept), fresh=fresh)
    answers = json.with_suffix("")
    if fresh:
        shutil.rmtree(answers, ignore_errors=True)
    sizes = {"validation": max(1, n_queries // 2), "test": n_queries}
    arenas = {
        name: Arena(each, split, sizes, seed, answers / each.manifest.content_hash[:12], device)
        for name, each in {"": opened, **others}.items()
    }
    targets = run_retrieval(arenas.pop(""), file, chosen, arenas)
    done = file.finish(targets, COLUMNS, _summary(shown(file.result.rows)))
    _say_best(bundle or Path("runs") / preset, done.rows)
    conclude(done, COLUMNS, strict=strict)


def _check_preset(preset: str, bundle: Bundle) -> None:
    """Refuse to judge a bundle by the targets of another dataset."""
    name = bundle.manifest.dataset.name
    if preset not in ("own", "tiny", name):
        raise UsageError(f"--preset {preset}: the bundle is of {name}; give --preset own")


def _say_best(bundle: Path, rows: list[Row]) -> None:
    """Say with which command mode ``auto`` answers as the fastest system did."""
    for row in (row for row in rows if row["step"] == "auto"):
        settings = " ".join(f"--search {name}={value}" for name, value in row["search"].items())
        say(f"fastest at the compared coverage: {row['system']}; to answer so by default:")
        say(f"  vizsla index configure {bundle} {settings}")


def _summary(rows: list[Row]) -> list[Row]:
    """Return what the table shows of the rows."""
    return [{column: row.get(column) for column in COLUMNS} for row in rows]
