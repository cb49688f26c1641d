"""Shows how a run in other processes goes on, from the log it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.epoch_meter import epoch_line
from training.loop import figure
from training.recipe import StageSettings
from vizsla.cli_output import Progress, say

__all__ = ["LogWatcher"]


class LogWatcher:
    """Turns new lines of ``log.jsonl`` into progress and remarks.

    A log that gets shorter was cut back to a checkpoint, since a worker was lost: what is written
    again is shown again.

    Args:
        path: The log; need not exist yet.  Nothing it holds already is shown.
        stages: Their validation metric is shown.
        bar: Counts the steps.
    """

    def __init__(self, path: Path, stages: Sequence[StageSettings], bar: Progress) -> None:
        self._path, self._stages, self._bar = path, stages, bar
        self._place = self._size()
        self._step = 0

    def look(self) -> None:
        """Show what is new."""
        if self._size() < self._place:
            say("a worker was lost: all go on from the last checkpoint")
            self._place = self._size()
        for record in self._new_records():
            self._show(record)

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _new_records(self) -> Iterator[dict[str, Any]]:
        """Read the lines that are whole."""
        if self._size() == self._place:
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._place += len(line)
                yield json.loads(line)

    def _show(self, record: dict[str, Any]) -> None:
        if record["event"] == "step":
            place = f"stage {record['stage']} epoch {record['epoch']}"
            self._bar.advance(max(0, record["step"] - self._step))
            self._bar.note(f"{place} loss {record['loss']:.4f}")
            self._step = record["step"]
        elif record["event"] == "epoch":
            say(epoch_line(record))
        elif record["event"] == "validation":
            metric = self._stages[record["stage"] - 1].metric
            place = f"stage {record['stage']} epoch {record['epoch']}"
            say(f"{place}: {metric} {figure(record, metric):.4f}")
