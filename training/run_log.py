"""The log of a run: one JSON object per line, consistent with the checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["RunLog"]


class RunLog:
    """Appends to ``log.jsonl``; can be cut back to the moment of a checkpoint.

    Args:
        path: The file; made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def n_bytes(self) -> int:
        """Size of the file, 0 where there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def write(self, record: Mapping[str, object]) -> None:
        """Append one record."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")

    def cut(self, n_bytes: int) -> None:
        """Forget what was written after a moment, since it will be written again."""
        if self.n_bytes > n_bytes:
            with self.path.open("r+b") as file:
                file.truncate(n_bytes)

    def read(self) -> list[dict[str, Any]]:
        """Return all records."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.n_bytes else []
        return [json.loads(line) for line in lines]
