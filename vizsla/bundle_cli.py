"""``vizsla bundle``: look into bundles, check them, compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from vizsla.bundles import LATEST_FILE, Bundle, Change, diff as compare, load
from vizsla.cli_output import console, print_json, print_table, say
from vizsla.clock import SystemClock
from vizsla.contracts.bundle import RankerEntry
from vizsla.contracts.tables import TableDtype
from vizsla.errors import UsageError
from vizsla.files import write_text

__all__ = ["app"]

app = typer.Typer(help="Show, verify and compare bundles.", no_args_is_help=True)

BundlePath = Annotated[
    Path, typer.Argument(help="A bundle, or a directory of `vizsla train` (its latest bundle).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ITEMS_NAMED = 10


@app.command()
def show(bundle: BundlePath, json: Json = False) -> None:
    """Print what a bundle is, how good it was on validation, and what is in it."""
    opened = load(bundle, verify=False)
    if json:
        print_json({"path": opened.path, **opened.manifest.model_dump(mode="json")})
        return
    print_table(f"Bundle {opened.path}", ["field", "value"], _summary(opened))
    if opened.manifest.metrics:
        metrics = sorted(opened.manifest.metrics.items())
        print_table("Validation", ["metric", "value"], metrics)
    if opened.manifest.gate:
        gate = opened.manifest.gate
        rows = [(c.rival, c.metric, c.value, c.rival_value, c.gain, c.met) for c in gate]
        headings = ["rival", "metric", "this bundle", "rival's", "difference", "beaten"]
        print_table("Publish gate", headings, rows)
    sizes = sorted((name, entry.n_bytes) for name, entry in opened.manifest.files.items())
    print_table("Files", ["file", "bytes"], sizes)


@app.command()
def verify(bundle: BundlePath, json: Json = False) -> None:
    """Check every byte of a bundle and that its parts belong together; exit status 1 if not."""
    opened = load(bundle)
    n_bytes = sum(entry.n_bytes for entry in opened.manifest.files.values())
    if json:
        hash_ = opened.manifest.content_hash
        n_files = len(opened.manifest.files)
        print_json({"ok": True, "content_hash": hash_, "files": n_files, "bytes": n_bytes})
    else:
        say(f"{opened.path}: ok, {len(opened.manifest.files)} files, {n_bytes:,} bytes")


@app.command()
def diff(left: BundlePath, right: BundlePath, json: Json = False) -> None:
    """Print what differs between two bundles; exit status 1 if anything does."""
    found = compare(load(left, verify=False), load(right, verify=False))
    if json:
        print_json({"same": found.same, "differences": found})
    elif found.same:
        console.print("the same bundle")
    else:
        _print_changes("Fields", found.fields)
        _print_changes("Files (bytes)", found.files)
        _print_items("only in the second", found.items_added)
        _print_items("only in the first", found.items_removed)
    raise typer.Exit(0 if found.same else 1)


@app.command("attach-ranker")
def attach_ranker_command(
    bundle: BundlePath,
    ranker: Annotated[
        Path, typer.Option(help="An exported ranker, or a run of `vizsla train` that holds one.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the new bundle; beside the old one if absent."),
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="How its tables are stored: float32, bfloat16 or int8.")
    ] = "float32",
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN: the item column that holds an item field; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a new bundle that has a ranker, for `/v1/rank` and `/v1/recommend`."""
    from vizsla.bundles.attach import attach_ranker
    from vizsla.bundles.layout import RANKER_DIR
    from vizsla.bundles.ranker import read_ranker

    inside = ranker / RANKER_DIR
    opened, exported = load(bundle), read_ranker(inside if inside.is_dir() else ranker)
    parent = opened.path.parent if out is None else out
    made = attach_ranker(
        opened,
        exported,
        parent,
        clock=SystemClock(),
        dtype=_table_dtype(dtype),
        columns=dict(_pair(one) for one in column or ()),
    )
    if made is opened and not json:
        say("the bundle already has this ranker")
    elif opened.path != bundle and (bundle / LATEST_FILE).is_file():
        write_text(bundle / LATEST_FILE, f"{made.path.resolve()}\n")
    n_fields = len(exported.schema.kept)
    if json:
        print_json({"path": made.path, "content_hash": made.manifest.content_hash})
    else:
        say(f"{made.path}: with a ranker of {n_fields} fields, tables in {dtype}")


def _table_dtype(name: str) -> TableDtype:
    for dtype in get_args(TableDtype):
        if name == dtype:
            return cast(TableDtype, dtype)
    raise UsageError(f"--dtype {name!r}: give one of {', '.join(get_args(TableDtype))}")


def _pair(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not (field and equals and column):
        raise UsageError(f"--column {text!r}: give FIELD=COLUMN")
    return field, column


def _summary(bundle: Bundle) -> list[tuple[str, str]]:
    manifest = bundle.manifest
    graph = manifest.index
    return [
        ("content hash", manifest.content_hash),
        ("derived from", manifest.parent or "-"),
        ("created at", manifest.created_at),
        ("written by", f"vizsla {manifest.vizsla_version}, format {manifest.format_version}"),
        ("model", manifest.model.name),
        ("recipe", f"{manifest.recipe}, seed {manifest.seed}"),
        ("trained on", manifest.dataset.name),
        ("items", f"{manifest.n_items:,} with vectors of size {manifest.embedding_size}"),
        ("graph", f"{graph.backend}, degree {graph.max_degree}" if graph else "not built yet"),
        ("ranker", _ranker_text(manifest.ranker)),
        ("publishable", "yes" if manifest.publishable else "no: it did not pass the gate"),
    ]


def _ranker_text(ranker: RankerEntry | None) -> str:
    if ranker is None:
        return "none"
    return f"{ranker.model}, trained on {ranker.frame}, tables in {ranker.dtype}"


def _print_changes(title: str, changes: list[Change]) -> None:
    if changes:
        rows = [(change.name, _text(change.left), _text(change.right)) for change in changes]
        print_table(title, ["name", "first", "second"], rows)


def _print_items(where: str, ids: list[str]) -> None:
    if ids:
        more = ", ..." if len(ids) > ITEMS_NAMED else ""
        console.print(f"{len(ids):,} items {where}: {', '.join(ids[:ITEMS_NAMED])}{more}")


def _text(value: object) -> str:
    return "-" if value is None else str(value)
