"""The commands ``vizsla serve`` and ``vizsla items``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from feature_store.ingest.logs.sqlite import SqliteEventLog
from serving.adapters.examples import example_request
from serving.adapters.user_histories import default_users_file
from vizsla.bundles import LATEST_FILE, load, locate
from vizsla.cli_output import console, print_json, print_table, progress, say
from vizsla.clock import SystemClock
from vizsla.config import load_settings
from vizsla.contracts.events import ITEMS_TOPIC
from vizsla.contracts.index import Query
from vizsla.errors import NotFoundError, UsageError
from vizsla.files import write_text

__all__ = ["items", "serve"]

items = typer.Typer(help="Look after the changes of items that a server took.")


@items.callback()
def _items() -> None:
    """Look after the changes of items that a server took."""


@items.command()
def compact(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or a directory of `vizsla train`.")],
    log: Annotated[
        Path | None, typer.Option(help="The item log; default: the run directory's items.sqlite.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the new bundle; default: beside the old.")
    ] = None,
    trim: Annotated[
        bool,
        typer.Option("--trim", help="Drop from the log what the new bundle holds: no way back."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a new bundle that holds all changes so far; a server of it reads on after them."""
    from serving.adapters.compaction import compact_bundle
    from serving.adapters.item_log import default_log_file

    opened = load(bundle)
    activates = out is None and locate(bundle) != bundle
    if trim and not activates:
        raise UsageError(
            "--trim: the new bundle has to be the one that is served: give a directory of "
            "`vizsla train`, and leave --out away"
        )
    log_file = log or load_settings().live.log or default_log_file(opened.path)
    if not log_file.exists():
        raise NotFoundError(f"{log_file}: no item log; nothing has changed")
    events = SqliteEventLog(log_file)
    try:
        with progress("applying changes", total=1, unit="bundles") as bar:
            folder = out or opened.path.parent
            made, n_records = compact_bundle(opened, events, log_file, folder, SystemClock())
            bar.advance(1)
        if activates:
            write_text(bundle / LATEST_FILE, f"{made.path.resolve()}\n")
        # last: from here on no older bundle can be served with this log
        if trim and made.manifest.changes is not None:
            events.trim(ITEMS_TOPIC, made.manifest.changes.offset)
    finally:
        events.close()
    facts = {"bundle": str(made.path), "n_items": made.manifest.n_items, "n_records": n_records}
    if as_json:
        print_json(facts)
    else:
        print_table("Compacted", ["property", "value"], facts.items())


@items.command()
def churn(
    run: Annotated[Path, typer.Argument(help="A directory of `vizsla train` with users.")],
    queries: Annotated[int, typer.Option(min=1, help="Users that are searched for.")] = 300,
    share: Annotated[
        float, typer.Option(min=0.001, max=0.4, help="Of the items: inserted, and as many removed.")
    ] = 0.1,
    k: Annotated[int, typer.Option(min=1, help="Results that are compared.")] = 50,
    seed: Annotated[int, typer.Option(help="Chooses items and users.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Insert and remove items in a copy in memory; compare with a graph built anew."""
    from graph_index.live.churn import churn_rows, churn_steps
    from serving.adapters.bundle_store import deep_scorer_loader
    from serving.adapters.user_histories import sample_histories

    opened = load(run)
    users_file = default_users_file(opened.path)
    if users_file is None:
        raise NotFoundError(f"{run}: no users.parquet; give a directory of `vizsla train`")
    histories = sample_histories(users_file, queries, seed)
    scorer = deep_scorer_loader(load_settings().serving.scorer_threads)(opened)
    n_steps = churn_steps(opened.manifest.n_items, len(histories))
    with progress("changing the catalogue", total=n_steps, unit="steps") as bar:
        rows = churn_rows(
            opened.item_vectors(),
            scorer,
            [Query(opened.vocabulary.nums(history)) for history in histories],
            share=share,
            k=k,
            seed=seed,
            progress=bar.note,
            advance=bar.advance,
        )
    if as_json:
        print_json({"bundle": str(opened.path), "rows": rows})
    else:
        shown = ["graph", "start", "coverage_at_k", "scored_ratio"]
        cells = [[row[name] for name in shown] for row in rows]
        print_table(f"Churn of {share:.0%} in, {share:.0%} out", shown, cells)


def serve(
    bundle: Annotated[Path, typer.Argument(help="A bundle, or a directory of `vizsla train`.")],
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Plain uvicorn instead of Ray Serve.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 for any free one.")] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="users.parquet; default: the one of the run directory, if any."),
    ] = None,
    ingress: Annotated[
        Literal["python", "haproxy"] | None,
        typer.Option(help="Ray Serve's front; haproxy is faster and binds every interface."),
    ] = None,
    replicas: Annotated[int | None, typer.Option(help="Processes under Ray Serve.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Where searches run: cpu, cuda or cuda:N.")
    ] = None,
) -> None:
    """Answer requests over HTTP until Ctrl-C; requests in flight are finished first."""
    flags = {
        "host": host,
        "port": port,
        "ingress": ingress,
        "replicas": replicas,
        "device": device,
    }
    given = {f"serving.{name}": str(value) for name, value in flags.items() if value is not None}
    settings = load_settings(overrides=given)
    if settings.serving.device != "cpu":
        from graph_index.device.places import open_device

        open_device(settings.serving.device)  # before a replica fails over it
    folder = locate(bundle)
    users_file = users or default_users_file(folder)

    def tell(url: str) -> None:
        _tell(url, folder, users_file, "uvicorn" if embedded else "Ray Serve")

    if embedded:
        from serving.hosts.embedded import serve_embedded

        serve_embedded(settings, folder, users_file, tell)
    else:
        from serving.hosts.cluster import serve_on_ray

        say("starting Ray Serve (about 15 s; --embedded is up at once)")
        serve_on_ray(settings, folder, users_file, tell)
    say("stopped")


def _tell(url: str, bundle: Path, users_file: Path | None, host: str) -> None:
    """Say that the server answers, and what to try."""
    example = json.dumps(example_request(bundle, users_file)).replace("'", "'\\''")
    lines = [
        f"ready on {url}  ({host}, bundle {bundle.name[:12]})",
        f"  curl -s {url}/v1/retrieve -H 'Content-Type: application/json' -d '{example}'",
        f"  routes {url}/docs   metrics {url}/metrics   Ctrl-C stops it",
    ]
    console.print("\n".join(lines), soft_wrap=True)
