"""The command ``vizsla serve``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from serving.adapters.examples import example_request
from serving.adapters.user_histories import default_users_file
from vizsla.bundles import locate
from vizsla.cli_output import console, say
from vizsla.config import load_settings

__all__ = ["serve"]


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
) -> None:
    """Answer requests over HTTP until Ctrl-C; requests in flight are finished first."""
    flags = {"host": host, "port": port, "ingress": ingress, "replicas": replicas}
    given = {f"serving.{name}": str(value) for name, value in flags.items() if value is not None}
    settings = load_settings(overrides=given)
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
