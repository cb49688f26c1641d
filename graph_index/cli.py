"""``vizsla index``: build the similarity graph of a bundle, and check one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from graph_index.analysis.cli import describe
from graph_index.attach import build_index, configure_index, has_index, load_graph
from graph_index.build import NEIGHBOURS, BuildProgress, BuildSettings
from graph_index.check import graph_report
from graph_index.shards.cli import shard
from vizsla.bundles import LATEST_FILE, Bundle, load, locate
from vizsla.cli_output import Progress, print_json, print_table, progress, say
from vizsla.clock import SystemClock
from vizsla.contracts.index import IndexManifest
from vizsla.contracts.tables import TableDtype
from vizsla.errors import ContractError, UsageError
from vizsla.files import write_text

__all__ = ["app"]

app = typer.Typer(help="Build and check the similarity graph of a bundle.", no_args_is_help=True)

app.command()(describe)

_DEFAULTS = BuildSettings()

BundlePath = Annotated[
    Path, typer.Argument(help="A bundle, or a directory of `vizsla train` (its latest bundle).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def build(
    bundle: BundlePath,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the new bundle; default: beside the old.")
    ] = None,
    max_degree: Annotated[
        int, typer.Option(min=4, max=512, help="Neighbours per item.")
    ] = _DEFAULTS.max_degree,
    ef_construction: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=4096,
            help="Beam of the build; quality and time grow with it; default: 100, above 200,000 items 200.",
        ),
    ] = None,
    entry_points: Annotated[
        int | None, typer.Option(min=1, help="Entry items; default: 5 * sqrt(items).")
    ] = None,
    table_dtype: Annotated[
        TableDtype | None,
        typer.Option(help="How item tables are stored; default: as they are (float32)."),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(min=0, help="More than 1 is faster, no two builds are equal; 0: all cores."),
    ] = _DEFAULTS.n_threads,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda or cuda:N: choose from exact neighbours, found there by torch; "
            "default: faiss HNSW."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal graphs.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Build even if it is there.")] = False,
    json: Json = False,
) -> None:
    """Build the graph over a bundle's item vectors and write a new bundle that has it."""
    opened = load(bundle)
    settings = BuildSettings(
        max_degree=max_degree,
        ef_construction=ef_construction,
        n_entry_points=entry_points,
        n_threads=threads or os.cpu_count() or 1,
        table_dtype=table_dtype,
        device=device,
    )
    if not force and has_index(opened, settings, seed):
        say("the bundle already has this graph; --force builds it again")
        _print_built(opened, json)
        return
    clock = SystemClock()
    start_s = clock.monotonic_s()
    with progress("building the graph", total=opened.manifest.n_items, unit="items") as bar:
        built = build_index(
            opened,
            out or opened.path.parent,
            settings,
            seed,
            progress=_shown_on(bar, opened),
        )
    if out is None:
        _point_to_newest(bundle, built.path)
    _print_built(built, json, build_s=round(clock.monotonic_s() - start_s, 3))


@app.command()
def configure(
    bundle: BundlePath,
    search: Annotated[
        list[str], typer.Option(help="NAME=NUMBER of a search setting, any number of times.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Directory for the new bundle; default: beside the old.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a new bundle with the same graph and other search settings, as a bench found them best."""
    opened = load(bundle)
    changes = dict(_named_number(text) for text in search)
    made = configure_index(opened, out or opened.path.parent, changes)
    if out is None:
        _point_to_newest(bundle, made.path)
    settings = {} if made.manifest.index is None else made.manifest.index.search
    if json:
        print_json({"bundle": made.path, "search": settings})
    else:
        print_table("Search", ["setting", "value"], settings.items(), note=f"Bundle: {made.path}")


@app.command()
def check(bundle: BundlePath, json: Json = False) -> None:
    """Check that a bundle's graph is sound and belongs to it; exit status 1 if not."""
    opened = load(bundle)
    graph, manifest = load_graph(opened)
    report = graph_report(graph, opened.item_vectors())
    facts = {**_facts(manifest), **report}
    if json:
        print_json({"ok": True, "bundle": opened.path, **facts})
    else:
        print_table(f"Graph of {opened.path}", ["property", "value"], facts.items())
        say("ok: every item can be reached, and the graph belongs to this bundle")


app.command()(shard)


def _named_number(text: str) -> tuple[str, str]:
    name, found, number = text.partition("=")
    if not (name and found and number):
        raise UsageError(f"--search {text!r}: give NAME=NUMBER, for instance beam_width=400")
    return name, number


def _shown_on(bar: Progress, bundle: Bundle) -> BuildProgress:
    """Count items as their neighbours are found; the later steps are short and only named."""
    done = 0.0

    def report(step: str, share: float) -> None:
        nonlocal done
        bar.note(step)
        if step == NEIGHBOURS:
            bar.advance((share - done) * bundle.manifest.n_items)
            done = share

    return report


def _point_to_newest(asked: Path, built: Path) -> None:
    """Let a training directory name the bundle with the graph as its latest."""
    pointer = asked / LATEST_FILE
    if locate(asked) != asked and pointer.is_file():
        inside = built.is_relative_to(asked)
        write_text(pointer, f"{built.relative_to(asked) if inside else built.resolve()}\n")


def _print_built(bundle: Bundle, json: bool, *, build_s: float | None = None) -> None:
    manifest = bundle.manifest.index
    if manifest is None:
        raise ContractError(f"{bundle.path}: the index is not in its manifest")
    took = {} if build_s is None else {"build_s": build_s}
    facts = {**_facts(manifest), **took, **manifest.report}
    if json:
        print_json({"bundle": bundle.path, **facts})
    else:
        print_table("Graph", ["property", "value"], facts.items(), note=f"Bundle: {bundle.path}")


def _facts(manifest: IndexManifest) -> dict[str, str | int | float]:
    return {
        "backend": manifest.backend,
        "n_items": manifest.n_items,
        "max_degree": manifest.max_degree,
        "ef_construction": manifest.ef_construction,
        "seed": manifest.seed,
    }
