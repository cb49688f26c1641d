"""``vizsla config``: what the settings are, where they come from, and what they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vizsla.cli_output import print_json, print_table, say
from vizsla.config import Settings, resolve_settings, setting_fields

__all__ = ["app"]

app = typer.Typer(help="Show, check and explain the settings.", no_args_is_help=True)


@app.command()
def show(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting with its value and where that comes from."""
    resolved = resolve_settings()
    values = setting_values(resolved.settings)
    rows = [(name, values[name], origin) for name, origin in resolved.origins.items()]
    if json:
        print_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        shown = [(name, _shown(value), origin) for name, value, origin in rows]
        print_table("Settings", ["setting", "value", "origin"], shown)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A settings file.")]) -> None:
    """Check a settings file alone, without the environment."""
    resolved = resolve_settings(file, environ={})
    n_set = sum(origin != "default" for origin in resolved.origins.values())
    say(f"{file}: ok, {n_set} of {len(resolved.origins)} settings set")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a settings file."""
    print_json(Settings.model_json_schema())


def setting_values(settings: Settings) -> dict[str, object]:
    """Return every setting's value by its dotted name, as JSON would hold it."""
    nested = settings.model_dump(mode="json")
    values = {}
    for name in setting_fields():
        section, _, key = name.rpartition(".")
        values[name] = (nested[section] if section else nested)[key]
    return values


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)
