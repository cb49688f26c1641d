"""Progress of files that are fetched, read or written, as a bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vizsla.cli_output import progress
from vizsla.datasets.base import Progress

__all__ = ["reported"]


@contextmanager
def reported(description: str, unit: str, total: int | None = None) -> Iterator[Progress]:
    """Show progress as a bar that forgets nothing when a second file begins."""
    with progress(description, total, unit) as bar:
        done: dict[str, int] = {}

        def report(label: str, count: int, _total: int | None) -> None:
            bar.note(label)
            bar.advance(count - done.get(label, 0))
            done[label] = count

        yield report
