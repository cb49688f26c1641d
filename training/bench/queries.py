"""Users whose searches a bench compares with exhaustive ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from vizsla.bundles import Bundle
from vizsla.contracts.index import Query
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator

__all__ = ["known_queries"]


def known_queries(path: Path, bundle: Bundle, n_queries: int, seed: int) -> list[Query]:
    """Draw users of the run; coverage needs no labels, so nothing is learnt from test data.

    Raises:
        UsageError: The folder has no users.
    """
    file = path / "users.parquet"
    if not file.is_file():
        raise UsageError(f"{path}: no users.parquet; give a folder of `vizsla train`")
    histories = pq.read_table(file, columns=["history"]).column("history")
    drawn = numpy_generator(seed, "bench filters", "queries").permutation(len(histories))
    rows = (histories[row].as_py() for row in drawn.tolist())
    known = (Query(bundle.vocabulary.nums(row)) for row in rows if row)
    return [query for query, _ in zip(known, range(n_queries), strict=False)]
