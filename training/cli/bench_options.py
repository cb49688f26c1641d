"""Options that every ``vizsla bench`` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Fresh", "Strict", "ToFile"]

ToFile = Annotated[Path, typer.Option("--json", help="Result file; an unfinished one goes on.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit non-zero if a target is missed.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin again even if the file has rows.")]
