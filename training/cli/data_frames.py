"""The part of ``vizsla data`` that is about training frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError

from vizsla.cli_output import print_json, print_table, say
from vizsla.config import load_settings
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.fetching import DATASETS, data_home
from vizsla.datasets.frames import (
    FRAMES,
    FrameImport,
    FrameImportSummary,
    FrameSource,
    import_frame,
    load_frame_schema,
    read_frame,
    resolve_frame,
    with_noise,
    write_frame,
)
from vizsla.datasets.importing import check_name
from vizsla.datasets.reporting import reported
from vizsla.errors import UsageError

__all__ = [
    "frame_options",
    "frame_rows",
    "import_frame_command",
    "noise_command",
    "refuse_frame_options",
    "show_frame",
]

Home = Annotated[Path | None, typer.Option(help="Vizsla's home folder; default from settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def frame_options(name: str, given: Mapping[str, object]) -> BaseModel | None:
    """Return the options of a named frame, None where none is given.

    Raises:
        UsageError: One does not belong to it, or has a wrong value.
    """
    known = {key: value for key, value in given.items() if value is not None}
    if not known:
        return None
    info: FrameSource = FRAMES.load(name)
    try:
        return info.options.model_validate(known)
    except ValidationError as error:
        problem = error.errors()[0]
        option = str(problem["loc"][0]).replace("_", "-")
        if problem["type"] == "extra_forbidden":
            raise UsageError(f"--{option} is no option of {name}") from error
        raise UsageError(f"--{option}: {problem['msg']}") from error


def refuse_frame_options(name: str, given: Mapping[str, object]) -> None:
    """Refuse options of frames for a dataset that is none.

    Raises:
        UsageError: Names the option.
    """
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"--{option.replace('_', '-')} is no option of {name}")


def noise_command(
    frame: Annotated[str, typer.Argument(help="Name, or directory, of a training frame.")],
    fields: Annotated[str, typer.Option(help="Values of each new field, such as 10,100,1000.")],
    out: Annotated[str, typer.Option(help="Name for the new frame.")],
    seed: Annotated[int, typer.Option(help="Of the values.", min=0)] = 0,
    home: Home = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Add fields of pure noise to a training frame, to see whether they are found and dropped."""
    where = home if home is not None else load_settings().home
    source = read_frame(resolve_frame(frame, where))
    directory = check_name(out, where, force=force, taken={*DATASETS, *FRAMES})
    draft = with_noise(source, _numbers(fields), seed, out)
    with reported(f"noise for {source.manifest.name}", "rows") as report:
        write_frame(directory, draft, replace=force, progress=report)
    show_frame(directory, as_json=as_json)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--fields {text!r}: whole numbers with commas between are needed"
        ) from error


def import_frame_command(
    rows: Annotated[Path, typer.Option(help="File of rows: Parquet, CSV or JSON Lines.")],
    label: Annotated[str, typer.Option(help="Column of the label, 0 or 1.")],
    out: Annotated[str, typer.Option(help="Name for the frame.")],
    schema: Annotated[Path | None, typer.Option(help="TOML with the fields, all of them.")] = None,
    split_by: Annotated[str, typer.Option(help="random, time, or a column.")] = "random",
    seed: Annotated[int, typer.Option(help="Of the random split.", min=0)] = 0,
    home: Home = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Check labelled rows of your own and make a training frame of them."""
    pinned = load_frame_schema(schema) if schema is not None else None
    request = FrameImport(out, rows, label, pinned, split_by, seed)
    where = home if home is not None else load_settings().home
    with reported(f"import {out}", "rows") as report:
        _, summary = import_frame(request, where, force=force, progress=report)
    if as_json:
        print_json(summary)
    else:
        _print_import(summary)


def _print_import(summary: FrameImportSummary) -> None:
    columns = [
        [one.name, one.type, *_field(one.field, None)[1:4], one.n_values, one.n_missing, one.reason]
        if one.field
        else [one.name, one.type, "left out", "", "", one.n_values, one.n_missing, one.reason]
        for one in summary.columns
    ]
    headings = ["column", "type", "kind", "owner", "encoding", "values", "missing", "why"]
    print_table(f"{summary.name} in {summary.path}", headings, columns)
    parts = [[s, counts.n_rows, counts.n_positive] for s, counts in summary.splits.items()]
    print_table("rows", ["split", "rows", "positive"], parts)
    if summary.reasons:
        print_table("quarantined", ["reason", "rows"], summary.reasons.items())
        say(f"refused rows, with line numbers: {summary.path}/quarantine.jsonl")
    for remark in summary.remarks:
        say(remark)
    say(f"fields, to change and to give back with --schema: {summary.path}/fields.toml")


def frame_rows(home: Path) -> list[dict[str, object]]:
    """Return what ``vizsla data list`` shows of frames: the named ones, then the others."""
    named = [_named(FRAMES.load(name), home) for name in FRAMES]
    others = sorted(data_home(home).glob("*/frame.json"))
    manifests = [read_frame(path.parent).manifest for path in others]
    return named + [_other(m) for m in manifests if m.name not in FRAMES]


def _named(info: FrameSource, home: Path) -> dict[str, object]:
    source = "download" if info.download else "--from DIR"
    return {
        "name": info.name,
        "here": (data_home(home) / info.name / "frame.json").is_file(),
        "order": "frame",
        "source": source if info.files else "generated",
        "title": info.title,
        "licence": info.licence,
    }


def _other(manifest: TrainingFrame) -> dict[str, object]:
    n_rows = sum(counts.n_rows for counts in manifest.splits.values())
    return {
        "name": manifest.name,
        "here": True,
        "order": "frame",
        "source": "made here",
        "title": f"{manifest.source}: {n_rows:,} rows, {len(manifest.fields)} fields",
        "licence": manifest.licence,
    }


def show_frame(directory: Path, *, as_json: bool) -> None:
    """Show the manifest of a frame."""
    manifest = read_frame(directory).manifest
    if as_json:
        print_json({"path": str(directory), **manifest.model_dump(mode="json")})
        return
    shown: dict[str, object] = {
        "source": manifest.source,
        "licence": manifest.licence,
        "label": manifest.label_rule,
    }
    for split, counts in manifest.splits.items():
        share = counts.n_positive / max(counts.n_rows, 1)
        shown[split] = f"{counts.n_rows:,} rows, {share:.2%} positive"
    shown["content hash"] = manifest.content_hash
    print_table(f"{manifest.name} in {directory}", ["", "value"], shown.items())
    rows = [_field(one, manifest.planted.get(one.name)) for one in manifest.fields]
    print_table("fields", ["field", "kind", "owner", "encoding", "planted"], rows)


def _field(one: FieldSpec, planted: int | None) -> list[object]:
    encoding = f"that of {one.shares}" if one.shares else one.encoding.type
    return [one.name, one.kind, one.owner, encoding, planted]
