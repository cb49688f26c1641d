"""``vizsla bench retrieval``: the walk beside its rivals, coverage against cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graph_index.device.places import open_device
from training.bench.form import BenchFile, Row, conclude, new_result
from training.bench.retrieval.arena import Arena
from training.bench.retrieval.presets import PRESETS
from training.bench.retrieval.run import COLUMNS, run_retrieval, shown
from training.cli.bench_options import Fresh, Strict, ToFile
from training.evaluate import open_split
from training.provenance import provenance
from vizsla.bundles import load
from vizsla.config import load_settings
from vizsla.datasets import resolve
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
    n_queries = queries or chosen.n_queries
    split = open_split(opened, resolve(opened.manifest.dataset.name, load_settings().home))
    kept = {"bundle": opened.manifest.content_hash, "queries": n_queries}
    if device is not None:
        kept["device"] = device
    file = BenchFile(json, new_result("retrieval", preset, provenance(seed), kept), fresh=fresh)
    folder = json.with_suffix("") / opened.manifest.content_hash[:12]
    sizes = {"validation": max(1, n_queries // 2), "test": n_queries}
    arena = Arena(opened, split, sizes, seed, folder, device)
    targets = run_retrieval(arena, file, chosen)
    done = file.finish(targets, COLUMNS, _summary(shown(file.result.rows)))
    conclude(done, COLUMNS, strict=strict)


def _summary(rows: list[Row]) -> list[Row]:
    """Return what the table shows of the rows."""
    return [{column: row.get(column) for column in COLUMNS} for row in rows]
