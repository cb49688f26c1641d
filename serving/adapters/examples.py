"""A request that works on this very bundle, to show to whoever started the server."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["example_request"]


def example_request(bundle_dir: Path, users_file: Path | None) -> dict[str, object]:
    """Return a body for ``POST /v1/retrieve``: the first user, or else the first item's history."""
    if users_file is not None:
        users = _first(users_file, "user_id")
        if users:
            return {"user_id": users[0], "k": 5}
    return {"history": _first(bundle_dir / "items.parquet", "item_id"), "k": 5}


def _first(path: Path, column: str) -> list[str]:
    batches = pq.ParquetFile(path).iter_batches(batch_size=1, columns=[column])
    first: pa.RecordBatch | None = next(batches, None)
    return [] if first is None else [str(value) for value in first.column(0).to_pylist()]
