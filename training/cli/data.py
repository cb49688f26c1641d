"""``vizsla data``: fetch, import, list and describe datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from vizsla.cli_output import print_json, print_table, progress
from vizsla.config import load_settings
from vizsla.datasets import DATASETS, DatasetSource, data_home, fetch, read_manifest, resolve
from vizsla.datasets.sources.synthetic import SyntheticOptions
from vizsla.errors import UsageError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

Home = Annotated[Path | None, typer.Option(help="Vizsla's home folder; default from settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _home(home: Path | None) -> Path:
    return home if home is not None else load_settings().home


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A name that 'vizsla data list' shows.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the files, instead of a download.")
    ] = None,
    home: Home = None,
    force: Annotated[bool, typer.Option(help="Fetch again, in place of what is there.")] = False,
    users: Annotated[int | None, typer.Option(help="Of synthetic: users.")] = None,
    items: Annotated[int | None, typer.Option(help="Of synthetic: items.")] = None,
    clusters: Annotated[int | None, typer.Option(help="Of synthetic: planted clusters.")] = None,
    interactions: Annotated[int | None, typer.Option(help="Of synthetic: interactions.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of synthetic: seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a named dataset."""
    sizes = {
        "users": users,
        "items": items,
        "clusters": clusters,
        "interactions": interactions,
        "seed": seed,
    }
    options = _options(name, {key: value for key, value in sizes.items() if value is not None})
    with progress(f"fetch {name}", unit="bytes") as bar:
        done_before = 0

        def report(label: str, done: int, _total: int | None) -> None:
            nonlocal done_before
            bar.note(label)
            bar.advance(max(done - done_before, 0))
            done_before = done

        directory = fetch(name, _home(home), source, options=options, force=force, progress=report)
    _show(directory, as_json=as_json)


def _options(name: str, given: dict[str, int]) -> SyntheticOptions | None:
    if given and name != "synthetic":
        raise UsageError(f"--{next(iter(given))} is an option of synthetic, not of {name}")
    try:
        return SyntheticOptions.model_validate(given) if name == "synthetic" else None
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"--{problem['loc'][0]}: {problem['msg']}") from error


@app.command("list")
def list_command(home: Home = None, as_json: AsJson = False) -> None:
    """List the named datasets and what is here already."""
    rows = [_listed(DATASETS.load(name), _home(home)) for name in DATASETS]
    rows += _own(_home(home))
    if as_json:
        print_json(rows)
        return
    columns = ["name", "here", "order", "download", "title"]
    print_table("datasets", columns, [[row[c] for c in columns] for row in rows])


def _listed(info: DatasetSource, home: Path) -> dict[str, object]:
    here = (data_home(home) / info.name / "dataset.json").is_file()
    open_source = info.download is not None or not info.files
    return {
        "name": info.name,
        "here": here,
        "order": info.order,
        "download": open_source,
        "title": info.title,
    }


def _own(home: Path) -> list[dict[str, object]]:
    found = sorted(data_home(home).glob("*/dataset.json"))
    manifests = [read_manifest(path.parent) for path in found if path.parent.name not in DATASETS]
    return [
        {
            "name": m.name,
            "here": True,
            "order": m.order,
            "download": False,
            "title": f"{m.n_interactions:,} interactions, imported from {m.source}",
        }
        for m in manifests
    ]


@app.command("describe")
def describe_command(
    dataset: Annotated[str, typer.Argument(help="Name, or dataset directory.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what a dataset holds."""
    _show(resolve(dataset, _home(home)), as_json=as_json)


def _show(directory: Path, *, as_json: bool) -> None:
    manifest = read_manifest(directory)
    if as_json:
        print_json({"path": str(directory), **manifest.model_dump(mode="json")})
        return
    rows = [[key, value] for key, value in manifest.model_dump(mode="json").items()]
    print_table(str(directory), ["field", "value"], rows)
