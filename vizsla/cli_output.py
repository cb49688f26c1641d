"""How commands show results, progress and errors, the same everywhere.

Results go to stdout, so that they can be piped; progress and remarks go to
stderr.  Where stderr is no terminal, progress is one line every ten seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import BaseModel
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bars,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vizsla.clock import Clock, SystemClock

__all__ = [
    "Progress",
    "console",
    "err_console",
    "format_cell",
    "format_duration",
    "print_json",
    "print_table",
    "progress",
    "say",
]

PIPE_WIDTH = 160
LINE_EVERY_S = 10.0

_plain_console = partial(Console, markup=False, highlight=False, emoji=False)

console = _plain_console()
"""Results, on stdout."""

err_console = _plain_console(stderr=True)
"""Progress and remarks, on stderr."""


def say(text: str) -> None:
    """Tell the user something that is not the result: one line on stderr."""
    err_console.print(text, soft_wrap=True)


def print_json(value: object) -> None:
    """Write a value as indented JSON to stdout; understands models, paths and NumPy values."""
    text = json.dumps(value, indent=2, default=_plain, ensure_ascii=False)
    console.file.write(text + "\n")  # not through rich, which takes a second for a megabyte


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> None:
    """Write a table to stdout; columns that hold only numbers are right-aligned.

    Args:
        title: Shown above the table.
        columns: Headings.
        rows: One sequence of values per row; floats are shown with four significant
            digits, None as a dash.
        note: A line below the table.
    """
    kept = [list(row) for row in rows]
    table = Table()
    for place, heading in enumerate(columns):
        numeric = bool(kept) and all(_is_number(row[place]) for row in kept)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in kept:
        table.add_row(*map(format_cell, row))
    console.print(title, style="bold", soft_wrap=True)
    (console if console.is_terminal else _plain_console(width=PIPE_WIDTH)).print(table)
    if note:
        console.print(note, soft_wrap=True)


class Progress(Protocol):
    """What a long step calls as it goes on."""

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more units as done."""
        ...

    def note(self, text: str) -> None:
        """Show a few words beside the bar, for instance the current loss."""
        ...


@contextmanager
def progress(
    description: str,
    total: float | None = None,
    unit: str = "it",
    *,
    clock: Clock | None = None,
    screen: Console = err_console,
) -> Iterator[Progress]:
    """Show a bar with throughput and remaining time while the block runs.

    Args:
        description: What is being done, a few words.
        total: Units until the end, or None where that is unknown.
        unit: What is counted, for instance ``"examples"`` or ``"bytes"``.
        clock: For tests.
        screen: Where to; lines go to stderr whatever it is.

    Example:
        >>> with progress("counting", total=2) as bar:
        ...     for _ in range(2):
        ...         bar.advance()
    """
    if screen.is_terminal:
        with _bars(unit, screen) as bars:
            yield _Bar(bars, bars.add_task(description, total=total, note=""))
    else:
        lines = _Lines(description, total, unit, clock or SystemClock())
        yield lines
        lines.finish()


def format_duration(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> format_duration(0.25), format_duration(75), format_duration(7260)
        ('0.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@runtime_checkable
class _Array(Protocol):
    """NumPy arrays and scalars, without importing NumPy for commands that need none."""

    def tolist(self) -> object: ...


class _Rate(ProgressColumn):
    """Units per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else "")


def _bars(unit: str, screen: Console) -> Bars:
    return Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=screen,
    )


class _Bar:
    """Progress on a terminal."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, n: float = 1) -> None:
        self._bars.advance(self._task, n)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _Lines:
    """Progress in a log file: a line now and then, and one at the end."""

    def __init__(self, description: str, total: float | None, unit: str, clock: Clock) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._clock = clock
        self._started_s = self._spoken_s = clock.monotonic_s()
        self._done = 0.0
        self._note = ""

    def advance(self, n: float = 1) -> None:
        self._done += n
        now_s = self._clock.monotonic_s()
        if now_s - self._spoken_s >= LINE_EVERY_S:
            self._spoken_s = now_s
            say(self._line(now_s - self._started_s))

    def note(self, text: str) -> None:
        self._note = text

    def finish(self) -> None:
        """Say how it ended, if it took long enough to have been noticed."""
        elapsed_s = self._clock.monotonic_s() - self._started_s
        if elapsed_s >= LINE_EVERY_S:
            say(self._line(elapsed_s))

    def _line(self, elapsed_s: float) -> str:
        rate = self._done / elapsed_s if elapsed_s > 0 else 0.0
        share = f"/{self._total:,.0f} ({self._done / self._total:.0%})" if self._total else ""
        parts = [f"{self._description}: {self._done:,.0f}{share} {self._unit}"]
        parts.append(f"{rate:,.1f} {self._unit}/s, {format_duration(elapsed_s)} so far")
        if self._total and rate > 0 and self._done < self._total:
            parts.append(f"{format_duration((self._total - self._done) / rate)} left")
        return ", ".join([*parts, self._note] if self._note else parts)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, Real) and not isinstance(value, bool))


def format_cell(value: object) -> str:
    """Return a value as tables show it: four significant digits, None as a dash.

    Example:
        >>> [format_cell(value) for value in (0.123456, 6040, True, None)]
        ['0.1235', '6,040', 'yes', '-']
    """
    if value is None:
        return "-"
    if type(value).__name__ in {"bool", "bool_"}:  # also NumPy's, which is no bool
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        number = float(value)
        return f"{number:,.0f}" if abs(number) >= 10000 else f"{number:.4g}"
    return str(value)


def _plain(value: object) -> object:
    """Turn what JSON does not know into what it knows."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, _Array):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
