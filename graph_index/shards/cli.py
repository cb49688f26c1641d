"""``vizsla index shard``: divide a bundle's items among shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graph_index.shards.build import build_shards, shard_bundle
from graph_index.shards.ray_tasks import build_on_ray
from vizsla.bundles import Bundle, load
from vizsla.cli_output import print_json, print_table, progress
from vizsla.clock import SystemClock

__all__ = ["shard"]

_SHOWN = ("shard", "items", "entry points", "content hash")


def shard(
    bundle: Annotated[
        Path, typer.Argument(help="A bundle, or a directory of `vizsla train` (its latest bundle).")
    ],
    shards: Annotated[int, typer.Option(min=2, help="Parts that the items are divided into.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory for the new bundle; default: beside the old.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="In this process, one by one, without Ray.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a new bundle whose items are divided by a hash of their id; goes on where it ended."""
    opened, clock = load(bundle), SystemClock()
    start_s, done = clock.monotonic_s(), 0.0
    with progress("building shards", total=opened.manifest.n_items, unit="items") as bar:

        def report(_step: str, share: float) -> None:
            nonlocal done
            bar.advance((share - done) * opened.manifest.n_items)
            done = share

        made = shard_bundle(
            opened,
            out or opened.path.parent,
            shards,
            build_shards if local else build_on_ray,
            progress=report,
        )
    _print_made(made, round(clock.monotonic_s() - start_s, 3), json=json)


def _print_made(bundle: Bundle, build_s: float, *, json: bool) -> None:
    assert bundle.manifest.shards is not None
    entries = bundle.manifest.shards.shards
    cells = [
        (number, entry.n_items, entry.index.n_entry_points, entry.content_hash[:12])
        for number, entry in enumerate(entries)
    ]
    if json:
        rows = [
            dict(zip(("shard", "n_items", "n_entry_points"), row, strict=False)) for row in cells
        ]
        print_json({"bundle": bundle.path, "build_s": build_s, "shards": rows})
    else:
        print_table("Shards", _SHOWN, cells, note=f"Bundle: {bundle.path}")
