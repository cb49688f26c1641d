"""The command ``vizsla``: finds its subcommands by entry point and loads only the one that runs."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextvars import copy_context
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from vizsla import __version__
from vizsla.cli_output import console, say
from vizsla.config import use_config_file
from vizsla.errors import VizslaError
from vizsla.files import write_text

__all__ = ["SUMMARIES", "app", "main"]

GROUP = "vizsla.commands"
INTERRUPTED = 130

SUMMARIES = {
    "quickstart": "From nothing to a running server on MovieLens-100K",
    "data": "Fetch, import and describe interaction data",
    "train": "Train a deep matcher and export it as a bundle",
    "tune": "Search for better recipe settings on validation",
    "index": "Build and check the similarity graph of a bundle",
    "evaluate": "Measure a bundle against baselines on held-out data",
    "bundle": "Show, verify and compare bundles",
    "serve": "Answer requests over HTTP",
    "items": "Compact the changes of items into a bundle, and measure churn",
    "bench": "Measure, and write the result with its targets",
    "config": "Show, check and explain the settings",
    "doctor": "Check that this machine can run Vizsla",
}
"""One line per command, so that ``vizsla --help`` imports none of them; in the order shown."""


class LazyGroup(TyperGroup):
    """A command group whose members are stand-ins until one is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for name in _available():
            self.add_command(TyperCommand(name=name, help=SUMMARIES.get(name, "")))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that was asked for in place of its stand-in."""
        if args and args[0] in _available():
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="vizsla", cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False
)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"vizsla {__version__}")
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option(help="Settings file; default: vizsla.toml if it is there.")
    ] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an unexpected error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Retrieve and recommend from a graph of items under a deep matching function."""
    if config is not None:
        use_config_file(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors become one line on stderr and an exit status."""
    raw = list(sys.argv[1:] if arguments is None else arguments)
    command = partial(typer.main.get_command(app).main, prog_name="vizsla", standalone_mode=False)
    try:
        # A context of its own: `--config` is over when the command is.
        code = copy_context().run(command, raw)
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer turned Ctrl-C into a status
            say("stopped")
    except VizslaError as error:
        code = _fail(str(error), error.exit_code)
    except TyperException as error:
        code = _usage_failure(error)
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        code = INTERRUPTED
    except BrokenPipeError:
        code = _drop_stdout()
    except Exception as error:  # noqa: BLE001  the last resort: a bug must not spill a traceback
        code = _unexpected(error, debug="--debug" in raw)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    say(f"error: {message}")
    return code


def _usage_failure(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        console.print(context.get_help(), soft_wrap=True)
        return 2
    hint = f" (try '{context.command_path} --help')" if context is not None else ""
    return _fail(error.format_message() + hint, error.exit_code)


def _drop_stdout() -> int:
    """The reader of our output is gone; let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _unexpected(error: Exception, *, debug: bool) -> int:
    text = "".join(traceback.format_exception(error))
    if debug:
        say(text.rstrip())
        return 1
    log = Path.cwd() / "vizsla-error.log"
    summary = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    try:
        write_text(log, text)
    except OSError:
        return _fail(f"{summary} (run with --debug for the traceback)", 1)
    return _fail(f"{summary} (a bug; traceback in {log})", 1)


@cache
def _available() -> dict[str, EntryPoint]:
    """Return the commands whose module is installed, in the order of ``SUMMARIES``."""
    found = {point.name: point for point in entry_points(group=GROUP) if _is_there(point.module)}
    order = [name for name in SUMMARIES if name in found]
    return {name: found[name] for name in [*order, *sorted(found.keys() - SUMMARIES.keys())]}


def _is_there(module: str) -> bool:
    """Look for a module's file without importing the packages around it."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    bases = [Path(place, *rest) for place in (spec and spec.submodule_search_locations) or ()]
    return any(b.with_suffix(".py").is_file() or (b / "__init__.py").is_file() for b in bases)


def _load(name: str) -> Any:
    """Import a command; a plain function becomes a command with its own docstring as help."""
    target = _available()[name].load()
    if isinstance(target, typer.Typer):
        group = typer.main.get_group(target)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(target)
    return typer.main.get_command(alone)
