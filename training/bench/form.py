"""The form that all benches share: a file that grows row by row, and targets that are met or not.

::

    {name, preset, commit, machine, seed, started, command, settings,
     rows: [...], summary: [...], targets: [{name, value, op, target, met}]}
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.bench.pool import run_jobs
from training.evaluation.markdown import table
from training.provenance import Provenance
from vizsla.cli_output import format_cell, print_table, progress, say
from vizsla.errors import CorruptArtifactError, UsageError, VizslaError
from vizsla.files import write_text

__all__ = [
    "BenchFile",
    "BenchResult",
    "MissedTargetError",
    "Row",
    "Target",
    "conclude",
    "new_result",
    "to_markdown",
]

Row = dict[str, Any]
"""One line of a bench's table: column to value; ``step`` says which step made it, ``commit`` of
which code."""

TARGET_COLUMNS = ("target", "measured", "asked for", "met")

Op = Literal[">", ">=", "<", "<=", "=="]

_OPERATORS: Mapping[Op, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}


class MissedTargetError(VizslaError):
    """A target was missed and ``--strict`` was given."""


class Target(BaseModel):
    """One figure that was asked for.

    Attributes:
        value: What was measured; None where it could not be, which does not meet it.
        met: Whether ``value op target``.

    Example:
        >>> Target.of("coverage", 0.98, ">=", 0.97).met, Target.of("missing", None, ">=", 0.97).met
        (True, False)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    value: float | None
    op: Op
    target: float
    met: bool

    @classmethod
    def of(cls, name: str, value: float | None, op: Op, target: float) -> Target:
        """Compare a value with its target."""
        met = value is not None and _OPERATORS[op](value, target)
        return cls(name=name, value=value, op=op, target=target, met=met)


class BenchResult(BaseModel):
    """What a bench writes.

    Attributes:
        settings: What the rows depend on besides name and preset; a file of other settings
            is not resumed.
        summary: Rows over several seeds, made anew from ``rows`` at the end.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    preset: str
    commit: str | None
    machine: dict[str, str | int]
    command: str
    seed: int
    started: str
    settings: dict[str, Any] = Field(default_factory=dict)
    rows: list[Row] = Field(default_factory=list)
    summary: list[Row] = Field(default_factory=list)
    targets: list[Target] = Field(default_factory=list)


class BenchFile:
    """A bench's result on disk: written after every step, so a killed bench goes on from there.

    Args:
        path: The JSON file.
        result: A new result without rows.
        fresh: Begin again even if the file holds rows.

    Raises:
        UsageError: The file holds another bench, or the same with other settings.
        CorruptArtifactError: The file is no bench's result.
    """

    def __init__(self, path: Path, result: BenchResult, *, fresh: bool = False) -> None:
        self.path, self.result = path, result
        if path.exists() and not fresh:
            result.rows = _resumable(path, result).rows

    def step(self, name: str, make: Callable[[], Sequence[Row]]) -> list[Row]:
        """Return the rows of a step: those in the file, or new ones, which are written."""
        found = [row for row in self.result.rows if row["step"] == name]
        if found:
            say(f"{name}: already in {self.path}")
            return found
        return self._keep(name, make())

    def steps(self, jobs: Mapping[str, Callable[[], Sequence[Row]]], workers: int) -> None:
        """Make the rows of many steps, each in a process of its own, some at a time.

        The rows of a step are written as soon as it ends.

        Args:
            jobs: Name to work, which has to survive the way to another process: a
                ``functools.partial`` of a function of a module, or a callable dataclass.
            workers: Steps at a time.
        """
        known = {row["step"] for row in self.result.rows}
        missing = {name: job for name, job in jobs.items() if name not in known}
        say(f"{len(jobs) - len(missing)} of {len(jobs)} steps are already in {self.path}")
        with progress(self.result.preset, total=len(missing), unit="steps") as bar:
            for name, made in run_jobs(missing, workers):
                self._keep(name, made)
                bar.advance()

    def finish(
        self, targets: Sequence[Target], columns: Sequence[str], summary: Sequence[Row] = ()
    ) -> BenchResult:
        """Write targets and summary too, and beside the file a table of these columns, ``.md``."""
        self.result.targets, self.result.summary = list(targets), list(summary)
        self._write()
        write_text(self.path.with_suffix(".md"), to_markdown(self.result, columns))
        return self.result

    def _keep(self, name: str, made: Sequence[Row]) -> list[Row]:
        rows = [{"step": name, "commit": self.result.commit, **row} for row in made]
        self.result.rows += rows
        self._write()
        return rows

    def _write(self) -> None:
        write_text(self.path, self.result.model_dump_json(indent=2) + "\n")


def new_result(
    name: str, preset: str, origin: Provenance, settings: Mapping[str, Any]
) -> BenchResult:
    """Begin a result of this run of the command."""
    return BenchResult(name=name, preset=preset, settings=dict(settings), **origin.model_dump())


def to_markdown(result: BenchResult, columns: Sequence[str]) -> str:
    """Return what a person wants to read of a result: where from, targets, rows."""
    parts = [
        f"# bench {result.name}",
        f"`{result.command}`",
        f"commit `{result.commit}`, seed {result.seed}, {result.started}, {result.machine['cpu']}",
        _table(TARGET_COLUMNS, _target_rows(result)),
        _table(columns, _rows(result, columns)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table in which what is missing is empty."""
    return table(columns, [["" if v is None else format_cell(v) for v in row] for row in rows])


def _rows(result: BenchResult, columns: Sequence[str]) -> list[list[object]]:
    """Return what to show: the summary where there is one, else every row."""
    shown = result.summary or result.rows
    return [[_readable(row.get(column)) for column in columns] for row in shown]


def _readable(value: object) -> object:
    """Write an estimate ``[mean, low, high]`` as one cell; its ends may be unknown."""
    if not isinstance(value, list):
        return value
    mean, low, high = value
    return f"{mean:.4f}" if low is None else f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def _target_rows(result: BenchResult) -> list[list[object]]:
    return [[t.name, t.value, f"{t.op} {t.target:g}", t.met] for t in result.targets]


def conclude(result: BenchResult, columns: Sequence[str], *, strict: bool) -> None:
    """Print the table and the targets.

    Args:
        result: Finished.
        columns: Of the rows, to show.
        strict: Whether a missed target is an error.

    Raises:
        MissedTargetError: A target was missed and ``strict``.
    """
    title = f"bench {result.name}, preset {result.preset}"
    print_table(title, columns, _rows(result, columns))
    print_table("targets", TARGET_COLUMNS, _target_rows(result))
    missed = [target.name for target in result.targets if not target.met]
    say(f"{len(result.targets) - len(missed)} of {len(result.targets)} targets met")
    if missed and strict:
        raise MissedTargetError(f"{len(missed)} targets missed, the first: {missed[0]}")


def _resumable(path: Path, wanted: BenchResult) -> BenchResult:
    try:
        found = BenchResult.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise CorruptArtifactError(f"{path} is no result of a bench: give another file") from None
    for field in ("name", "preset", "seed", "settings"):
        if getattr(found, field) != getattr(wanted, field):
            raise UsageError(
                f"{path} holds a bench of another {field}: give another file, or --fresh"
            )
    return found
