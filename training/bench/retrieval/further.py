"""The same bundle under filters, in shards and after changes: steps of the bench beside the plain searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from graph_index.live.churn import churn_rows
from training.bench.filters import filter_rows, filter_targets
from training.bench.form import Row, Target
from training.bench.retrieval.arena import Arena
from training.bench.retrieval.presets import RetrievalPreset
from training.bench.shards import shard_rows, shard_targets
from vizsla.cli_output import say

__all__ = ["changed", "divided", "filtered", "further_targets"]

_FILTER_METHODS = ("auto", "exhaustive")
_CHURN_DEPTH = 50
_MOST_LOSS = 0.005


def filtered(arena: Arena, preset: RetrievalPreset) -> list[Row]:
    """Return the coverage of filtered searches on validation queries, down to 0.1 % allowed."""
    queries = arena.part("validation").queries[: preset.filter_queries]
    name = arena.bundle.manifest.dataset.name
    say(f"filters: {len(queries)} queries")
    return filter_rows(name, arena.bundle, queries, arena.seed, _FILTER_METHODS)


def changed(arena: Arena, preset: RetrievalPreset) -> list[Row]:
    """Return the coverage after inserts and removals beside that of a graph built anew."""
    rows = churn_rows(
        arena.vectors,
        arena.torch_scorer,
        arena.part("validation").queries,
        share=preset.churn_share,
        k=_CHURN_DEPTH,
        seed=arena.seed,
        progress=say,
    )
    return [dict(row) for row in rows]


def divided(arena: Arena, preset: RetrievalPreset) -> list[Row]:
    """Return what the catalogue in shards costs and finds, one of them dead and none."""
    queries = arena.part("validation").queries
    name = arena.bundle.manifest.dataset.name
    say(f"shards: building {preset.n_shards}")
    with TemporaryDirectory() as folder:
        return shard_rows(name, arena.bundle, queries, preset.n_shards, Path(folder))


def further_targets(preset: RetrievalPreset, rows: Sequence[Row]) -> Iterator[Target]:
    """Yield what the steps ``memory``, ``filters``, ``shards`` and ``churn`` have to show, as far as they ran."""
    for row in rows:
        most = preset.resident_bytes.get(row["table_dtype"]) if row["step"] == "memory" else None
        if most is not None:
            name = f"resident bytes per item, {row['table_dtype']}"
            yield Target.of(name, row["resident_bytes_per_item"], "<=", most)
    yield from filter_targets([row for row in rows if row["step"] == "filters"])
    yield from shard_targets([row for row in rows if row["step"] == "shards"])
    churned = [row for row in rows if row["step"] == "churn"]
    for start in dict.fromkeys(row["start"] for row in churned):
        by_graph = {row["graph"]: row for row in churned if row["start"] == start}
        loss = by_graph["rebuilt"]["coverage_at_k"] - by_graph["changed"]["coverage_at_k"]
        name = f"churn, start {start}: coverage@{_CHURN_DEPTH} below a rebuilt graph"
        yield Target.of(name, loss, "<=", _MOST_LOSS)
