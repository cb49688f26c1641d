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

    When a worker is lost, the log is cut back to a checkpoint and goes on from there with other
    lines.  It is then read again, and what was shown is not shown twice.

    Args:
        path: The log; need not exist yet.  Nothing it holds already is shown.
        stages: Their validation metric is shown.
        bar: Counts the steps.
    """

    def __init__(self, path: Path, stages: Sequence[StageSettings], bar: Progress) -> None:
        self._path, self._stages, self._bar = path, stages, bar
        self._place, self._last = 0, b""
        self._shown: dict[str, tuple[int, int]] = {}
        for record in self._new_records():
            self._is_new(record)

    def look(self) -> None:
        """Show what is new."""
        if self._was_cut():
            say("a worker was lost: all go on from the last checkpoint")
            self._place, self._last = 0, b""
        for record in self._new_records():
            if self._is_new(record):
                self._show(record)

    def _was_cut(self) -> bool:
        """Tell whether the last line that was read is no longer where it was."""
        if not self._place:
            return False
        with self._path.open("rb") as file:
            file.seek(self._place - len(self._last))
            return file.read(len(self._last)) != self._last

    def _new_records(self) -> Iterator[dict[str, Any]]:
        """Read the lines that are whole."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._place, self._last = self._place + len(line), line
                yield json.loads(line)

    def _is_new(self, record: dict[str, Any]) -> bool:
        """Tell whether a record lies beyond those of its kind that were seen."""
        kind = record["event"]
        place = record["stage"], record["step" if kind == "step" else "epoch"]
        if place <= self._shown.get(kind, (0, -1)):
            return False
        self._shown[kind] = place
        return True

    def _show(self, record: dict[str, Any]) -> None:
        place = f"stage {record['stage']} epoch {record['epoch']}"
        if record["event"] == "step":
            self._bar.advance(1)
            self._bar.note(f"{place} loss {record['loss']:.4f}")
        elif record["event"] == "epoch":
            say(epoch_line(record))
        elif record["event"] == "validation":
            metric = self._stages[record["stage"] - 1].metric
            say(f"{place}: {metric} {figure(record, metric):.4f}")
