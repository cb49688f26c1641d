"""``vizsla data``: fetch, import, list and describe datasets and training frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from training.cli.data_frames import (
    frame_options,
    import_frame_command,
    noise_command,
    refuse_frame_options,
    show_frame,
)
from training.cli.data_tables import print_dataset, print_datasets, print_import
from vizsla.cli_output import print_json
from vizsla.clock import SystemClock
from vizsla.config import load_settings
from vizsla.contracts.features import Order
from vizsla.datasets import (
    DATASETS,
    ImportRequest,
    fetch,
    import_files,
    load_schema,
    read_manifest,
    resolve,
)
from vizsla.datasets.frames import FRAMES, fetch_frame, find_frame
from vizsla.datasets.reporting import reported
from vizsla.datasets.sources.synthetic import SyntheticOptions
from vizsla.errors import UnknownNameError, UsageError
from vizsla.registry import unknown_name

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
app.command("noise")(noise_command)
app.command("import-frame")(import_frame_command)

Home = Annotated[Path | None, typer.Option(help="Vizsla's home folder; default from settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def _home(home: Path | None) -> Path:
    return home if home is not None else load_settings().home


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A name that 'vizsla data list' shows.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the files, instead of a download.")
    ] = None,
    home: Home = None,
    force: Force = False,
    users: Annotated[int | None, typer.Option(help="Of synthetic: users.")] = None,
    items: Annotated[int | None, typer.Option(help="Of synthetic: items.")] = None,
    clusters: Annotated[int | None, typer.Option(help="Of synthetic: planted clusters.")] = None,
    interactions: Annotated[int | None, typer.Option(help="Of synthetic: interactions.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of synthetic and of frames: seed.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a frame: random or time.")] = None,
    rows: Annotated[int | None, typer.Option(help="Of synthetic-ctr: rows.")] = None,
    informative: Annotated[int | None, typer.Option(help="Of synthetic-ctr: fields.")] = None,
    redundant: Annotated[int | None, typer.Option(help="Of synthetic-ctr: fields.")] = None,
    noise: Annotated[int | None, typer.Option(help="Of synthetic-ctr: fields.")] = None,
    base_rate: Annotated[float | None, typer.Option(help="Of synthetic-ctr: positives.")] = None,
    strength: Annotated[float | None, typer.Option(help="Of synthetic-ctr: log-odds.")] = None,
    out: Annotated[str | None, typer.Option(help="Of a frame: another name for it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a named dataset or training frame, from its source or from a folder."""
    if name not in DATASETS and name not in FRAMES:
        raise UnknownNameError(unknown_name("dataset", name, {**DATASETS, **FRAMES}))
    of_frames = {
        "split": split,
        "rows": rows,
        "informative": informative,
        "redundant": redundant,
        "noise": noise,
        "base_rate": base_rate,
        "strength": strength,
    }
    if name in FRAMES:
        others = {
            "users": users,
            "items": items,
            "clusters": clusters,
            "interactions": interactions,
        }
        options = frame_options(name, {**of_frames, "seed": seed, **others})
        with reported(f"fetch {name}", "rows") as report:
            directory = fetch_frame(
                name, _home(home), source, options=options, out=out, force=force, progress=report
            )
        show_frame(directory, as_json=as_json)
        return
    refuse_frame_options(name, {**of_frames, "out": out})
    sizes = {
        "users": users,
        "items": items,
        "clusters": clusters,
        "interactions": interactions,
        "seed": seed,
    }
    of_synthetic = _options(name, {key: value for key, value in sizes.items() if value is not None})
    with reported(f"fetch {name}", "bytes") as report:
        directory = fetch(
            name, _home(home), source, options=of_synthetic, force=force, progress=report
        )
    _show(directory, as_json=as_json)


@app.command("import")
def import_command(
    events: Annotated[Path, typer.Option(help="File of events: Parquet, CSV or JSON Lines.")],
    name: Annotated[str | None, typer.Argument(help="Name for the dataset.")] = None,
    named: Annotated[str | None, typer.Option("--name", help="The same, as an option.")] = None,
    items: Annotated[Path | None, typer.Option(help="File of items.")] = None,
    users: Annotated[Path | None, typer.Option(help="File of users.")] = None,
    schema: Annotated[Path | None, typer.Option(help="TOML with pinned roles and names.")] = None,
    order: Annotated[
        str, typer.Option(help="event_timestamp is: time, position or none.")
    ] = "time",
    repeats: Annotated[bool, typer.Option("--repeats", help="Recommend seen items again.")] = False,
    home: Home = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Check your own files row by row and import them."""
    request = ImportRequest(
        name=_one_name(name, named, events),
        events=events,
        items=items,
        users=users,
        schema=load_schema(schema),
        order=_order(order),
        repeats=repeats,
    )
    with reported(f"import {request.name}", "rows") as report:
        _, summary = import_files(request, _home(home), SystemClock(), force=force, progress=report)
    if as_json:
        print_json(summary)
    else:
        print_import(summary)


@app.command("list")
def list_command(home: Home = None, as_json: AsJson = False) -> None:
    """List the named datasets and what is here already."""
    print_datasets(_home(home), as_json=as_json)


@app.command("describe")
def describe_command(
    dataset: Annotated[str, typer.Argument(help="Name, or dataset directory.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what a dataset holds and where it comes from."""
    frame = find_frame(dataset, _home(home))
    if frame is not None:
        show_frame(frame, as_json=as_json)
    else:
        _show(resolve(dataset, _home(home)), as_json=as_json)


def _show(directory: Path, *, as_json: bool) -> None:
    manifest = read_manifest(directory)
    if as_json:
        print_json({"path": str(directory), **manifest.model_dump(mode="json")})
    else:
        print_dataset(directory, manifest)


def _options(name: str, given: dict[str, int]) -> SyntheticOptions | None:
    if name != "synthetic":
        if given:
            raise UsageError(f"--{next(iter(given))} is an option of synthetic, not of {name}")
        return None
    try:
        return SyntheticOptions.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(f"--{problem['loc'][0]}: {problem['msg']}") from error


def _one_name(argument: str | None, option: str | None, events: Path) -> str:
    if argument and option and argument != option:
        raise UsageError(f"two names for one dataset: {argument!r} and {option!r}")
    return argument or option or events.name.split(".")[0].lower()


def _order(text: str) -> Order:
    orders: dict[str, Order] = {"time": "time", "position": "position", "none": "none"}
    if text not in orders:
        raise UsageError(f"--order {text!r}: known: {', '.join(orders)}")
    return orders[text]
