"""``vizsla bench``: figures with targets, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from training.bench import filters as filters_bench, shards as shards_bench, spine as spine_bench
from training.bench.form import BenchFile, conclude, new_result
from training.cli.bench_options import Fresh, Strict, ToFile
from training.cli.bench_ranking import ranking
from training.cli.bench_retrieval import retrieval
from training.cli.bench_training import named_paths, training
from training.evaluate import RIVALS, EvaluateSettings
from training.provenance import provenance
from vizsla.bundles import load
from vizsla.config import load_settings

__all__ = ["app"]

app = typer.Typer(help="Make the figures that are promised, with their targets.")

Seed = Annotated[int, typer.Option(help="Of samples, bootstrap and index.")]
Preset = Annotated[
    Literal["full", "quick"], typer.Option(help="quick: few queries, to see that it works.")
]

QUERIES = {"full": 10_000, "quick": 200}
FILTER_QUERIES = {"full": 100, "quick": 20}
SHARD_QUERIES = {"full": 300, "quick": 20}
CURVE_QUERIES = {"full": 1_000, "quick": 50}


@app.callback()
def benches() -> None:
    """Make the figures that are promised, with their targets."""


@app.command()
def spine(
    json: ToFile,
    bundle: Annotated[
        list[str], typer.Option(help="DATASET=PATH of a bundle or of a folder of `vizsla train`.")
    ],
    preset: Preset = "full",
    max_queries: Annotated[
        int | None, typer.Option(min=0, help="Test queries per dataset; 0 for all.")
    ] = None,
    seed: Seed = 0,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare trained bundles with every rival, and their walks with exhaustive scoring, on test."""
    origin, bundles = provenance(seed), named_paths("--bundle", bundle)
    settings = _evaluation(preset, seed, max_queries, RIVALS)
    kept = {"bundles": _hashes(bundles), "max_queries": settings.max_queries}
    file = BenchFile(json, new_result("spine", preset, origin, kept), fresh=fresh)
    targets = spine_bench.run_spine(bundles, file, settings, load_settings().home, origin)
    columns = spine_bench.COLUMNS
    conclude(file.finish(targets, columns), columns, strict=strict)


@app.command()
def filters(
    json: ToFile,
    bundle: Annotated[
        list[str], typer.Option(help="DATASET=FOLDER of `vizsla train` whose bundle has a graph.")
    ],
    preset: Preset = "full",
    seed: Seed = 0,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare filtered walks with exhaustive scoring, from 90 % allowed down to 0.1 %."""
    origin, bundles = provenance(seed), named_paths("--bundle", bundle)
    n_queries = FILTER_QUERIES[preset]
    kept = {"bundles": _hashes(bundles), "n_queries": n_queries}
    file = BenchFile(json, new_result("filters", preset, origin, kept), fresh=fresh)
    targets = filters_bench.run_filters(bundles, file, n_queries, seed)
    columns = filters_bench.COLUMNS
    conclude(file.finish(targets, columns), columns, strict=strict)


@app.command()
def shards(
    json: ToFile,
    bundle: Annotated[
        list[str], typer.Option(help="DATASET=FOLDER of `vizsla train` whose bundle has a graph.")
    ],
    shards: Annotated[int, typer.Option(min=2, help="Parts of the catalogue.")] = 4,
    preset: Preset = "full",
    seed: Seed = 0,
    strict: Strict = False,
    fresh: Fresh = False,
) -> None:
    """Compare a catalogue in shards with one graph: what it finds, costs, sends, and survives."""
    origin, bundles = provenance(seed), named_paths("--bundle", bundle)
    n_queries = SHARD_QUERIES[preset]
    kept = {"bundles": _hashes(bundles), "n_queries": n_queries, "shards": shards}
    file = BenchFile(json, new_result("shards", preset, origin, kept), fresh=fresh)
    targets = shards_bench.run_shards(bundles, file, shards, n_queries, seed)
    columns = shards_bench.COLUMNS
    conclude(file.finish(targets, columns), columns, strict=strict)


app.command()(training)
app.command()(retrieval)
app.command()(ranking)


def _hashes(bundles: Mapping[str, Path]) -> dict[str, str]:
    return {name: load(path, verify=False).manifest.content_hash for name, path in bundles.items()}


def _evaluation(
    preset: str, seed: int, max_queries: int | None, rivals: tuple[str, ...]
) -> EvaluateSettings:
    chosen = QUERIES[preset] if max_queries is None else max_queries
    return EvaluateSettings(
        max_queries=chosen or None, seed=seed, rivals=rivals, curve_queries=CURVE_QUERIES[preset]
    )
