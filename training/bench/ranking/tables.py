"""One training step after another with embedding tables of many rows: speed and bytes of optimisers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.bench.form import Row
from training.bench.ranking.peaks import MIB, Peaks
from training.ctr.loop import train_ranker
from training.ctr.optimizers import Optimizers, is_sparse
from training.ctr.settings import RankerSettings, TableOptimizer
from vizsla.clock import ProcessClock
from vizsla.contracts.fields import FIRST_KNOWN, FieldSpec, HashEncoding
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows
from vizsla.models.ranker import build_ranker
from vizsla.rng import numpy_generator

__all__ = ["TableJob"]

N_FIELDS = 8
DIM = 16
N_ROWS = 1 << 17
HIDDEN = [128, 64]


@dataclass(frozen=True, slots=True)
class TableJob:
    """One pass over random rows, in a process of its own.

    Values of a field are as frequent as in ``synthetic-ctr``; labels mean nothing.

    Attributes:
        table_rows: Of all fields together.
        table_optimizer: Of the tables.
        seed: Of the rows.
        folder: Watched; nothing is written.
    """

    table_rows: int
    table_optimizer: TableOptimizer
    seed: int
    folder: Path

    def __call__(self) -> list[Row]:
        """Train and return speed and bytes."""
        schema = _schema(self.table_rows // N_FIELDS)
        settings = RankerSettings(
            model="dnn",
            model_settings={"hidden": HIDDEN},
            epochs=1,
            table_optimizer=self.table_optimizer,
        )
        with Peaks(self.folder) as peaks:
            state = _state_bytes(schema, settings)
            rows = _rows(schema, self.seed)
            found = train_ranker(
                schema, rows, rows.take(np.arange(0)), settings, self.seed, clock=ProcessClock()
            )
        tables = sum(p.nbytes for p in found.ranker.embeddings.parameters())
        return [
            {
                "part": "tables",
                "rows": len(rows),
                "epochs": 1,
                "table_rows": self.table_rows,
                "table_optimizer": self.table_optimizer,
                "rows_per_cpu_s": round(found.history[0]["rows_per_s"]),
                "peak_rss_mib": round(peaks.resident / MIB),
                "peak_anonymous_mib": round(peaks.anonymous / MIB),
                "table_mib": round(tables / MIB, 1),
                "optimizer_mib": round(state / MIB, 1),
            }
        ]


def _schema(n_codes: int) -> RankingSchema:
    encoding = HashEncoding(n_buckets=n_codes - FIRST_KNOWN)
    specs = [FieldSpec(name=f"field_{i}", encoding=encoding) for i in range(N_FIELDS)]
    return RankingSchema(
        frame="random",
        frame_hash="",
        vocabulary_hash="",
        fields=tuple(RankerField(spec=one, n_codes=n_codes, dim=DIM) for one in specs),
    )


def _rows(schema: RankingSchema, seed: int) -> EncodedRows:
    """Draw ``N_ROWS`` rows; the log of a value's rank is uniform."""
    rng = numpy_generator(seed, "scale", "tables")
    codes = {
        one.spec.name: np.exp(rng.random(N_ROWS) * np.log(one.n_codes)).astype(np.int32) - 1
        for one in schema.fields
    }
    labels = (rng.random(N_ROWS) < 0.5).astype(np.float32)
    return EncodedRows(codes, {}, labels)


def _state_bytes(schema: RankingSchema, settings: RankerSettings) -> int:
    """Return what the optimiser of the tables keeps beside them."""
    sparse = is_sparse(schema, settings)
    ranker = build_ranker(schema, settings.model, settings.model_settings, sparse=sparse)
    if settings.table_optimizer == "adam":  # whose two moments appear with its first step
        return 2 * sum(p.nbytes for p in ranker.embeddings.parameters())
    state = Optimizers(ranker, settings).state()
    return sum(one.nbytes for name, one in state.items() if name.startswith("tables/"))
