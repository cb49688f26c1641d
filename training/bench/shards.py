"""``vizsla bench shards``: what a catalogue in shards costs and finds, beside the same in one graph.

Everything here runs in one process; what goes over a network is counted, not sent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import open_retriever
from graph_index.shards.build import ShardJob, build_shard, shard_bundle
from graph_index.shards.client import FanOut, Pending, ShardClient, ready
from graph_index.shards.engine import EmbeddedShard, ShardEngine, ShardScorer as AnyShardScorer
from graph_index.shards.retriever import ShardedRetriever
from graph_index.shards.wire import ShardCall, reply_bytes
from training.bench.form import BenchFile, Row, Target
from training.bench.queries import known_queries
from vizsla.bundles import Bundle, load, open_shard, read_tables, shard_item_nums
from vizsla.clock import SystemClock
from vizsla.contracts.index import (
    Mode,
    Query,
    Retriever,
    Scorer,
    SearchOptions,
    SearchResult,
)
from vizsla.models.recommender.loading import load_matcher, load_scorer
from vizsla.models.recommender.split_scorer import ShardScorer, UserSideScorer

__all__ = ["COLUMNS", "run_shards", "shard_rows", "shard_targets"]

COLUMNS = (
    "dataset",
    "system",
    "n_shards",
    "coverage_at_50",
    "coverage_at_200",
    "scored_ratio",
    "cpu_ms_per_query",
    "p50_ms",
    "p99_ms",
    "bytes_sent_per_query",
    "bytes_back_per_query",
    "missing",
    "build_s",
    "longest_shard_build_s",
)

K, TOP = 200, 50


class _DeadShard:
    """A shard that fails at once."""

    def __init__(self, item_nums: NDArray[np.int64]) -> None:
        self.item_nums = item_nums

    def submit(self, fan_out: FanOut, options: SearchOptions) -> Pending:
        dead: Future[list[SearchResult]] = Future()
        dead.set_exception(ConnectionError("killed for the bench"))
        return ready(dead)


@dataclass
class _Counted:
    """A shard's search with the bytes that it would send."""

    engine: ShardEngine
    sent: int = 0
    back: int = 0

    def search(self, call: ShardCall) -> list[SearchResult]:
        found = self.engine.search(call)
        self.sent += call.n_bytes
        self.back += reply_bytes(found)
        return found


def run_shards(
    bundles: dict[str, Path], file: BenchFile, n_shards: int, n_queries: int, seed: int
) -> list[Target]:
    """Measure every bundle, resuming by dataset; return the targets."""
    for name, path in bundles.items():
        folder = file.path.with_suffix("") / name

        def rows(name: str = name, path: Path = path, folder: Path = folder) -> list[Row]:
            opened = load(path)
            queries = known_queries(path, opened, n_queries, seed)
            return shard_rows(name, opened, queries, n_shards, folder)

        file.step(name, rows)
    return shard_targets(file.result.rows)


def shard_rows(
    name: str, bundle: Bundle, queries: Sequence[Query], n_shards: int, folder: Path
) -> list[Row]:
    """Return a row for one graph, for shards, for shards with one dead, and for both exhaustive.

    Args:
        name: Of the dataset.
        bundle: With a graph.
        queries: What is asked, one at a time.
        n_shards: S.
        folder: Where the sharded bundle is written.
    """
    times: list[float] = []
    sharded = shard_bundle(
        bundle, folder, n_shards, lambda job, numbers: _timed(job, numbers, times)
    )
    model = bundle.manifest.model
    scorer = load_scorer(model.name, model.config, bundle.weights(), read_tables(bundle))
    matcher = load_matcher(model.name, model.config, bundle.weights())
    users = UserSideScorer(matcher, bundle.manifest.n_items)
    one = open_retriever(bundle)
    exact, exact_row = _measured(one, scorer, queries, Mode.EXHAUSTIVE, None)
    made = [{"system": "one graph, exhaustive", "n_shards": 1, **exact_row}]
    made.append(
        {
            "system": "one graph",
            "n_shards": 1,
            **_measured(one, scorer, queries, Mode.AUTO, exact)[1],
        }
    )
    with ThreadPoolExecutor(n_shards) as pool:
        counted = [_Counted(ShardEngine(sharded.path, n, _shard_scorer)) for n in range(n_shards)]
        nums = [shard_item_nums(open_shard(sharded, number)) for number in range(n_shards)]
        alive: list[ShardClient] = [
            EmbeddedShard(own, shard.search, pool, SystemClock())
            for own, shard in zip(nums, counted, strict=True)
        ]
        dead: list[ShardClient] = [*alive[:-1], _DeadShard(nums[-1])]
        systems = {
            "shards, exhaustive": (alive, Mode.EXHAUSTIVE),
            "shards": (alive, Mode.AUTO),
            "shards, one dead": (dead, Mode.AUTO),
        }
        for system, (clients, mode) in systems.items():
            retriever = ShardedRetriever(clients)
            before = _bytes(counted)
            row = _measured(retriever, users, queries, mode, exact)[1]
            sent, back = (_bytes(counted) - before) / (len(queries) + 1)
            traffic = {"bytes_sent_per_query": float(sent), "bytes_back_per_query": float(back)}
            made.append({"system": system, "n_shards": n_shards, **row, **traffic})
    for row in made:
        row["dataset"] = name
        if row["n_shards"] > 1 and times:
            row |= {"build_s": sum(times), "longest_shard_build_s": max(times)}
    return made


def shard_targets(rows: Sequence[Row]) -> list[Target]:
    """Return what shards have to hold: exact when exhaustive, no worse when they walk."""
    targets = []
    for name in dict.fromkeys(row["dataset"] for row in rows):
        mine = {row["system"]: row for row in rows if row["dataset"] == name}
        exact = mine["shards, exhaustive"]["coverage_at_200"]
        targets.append(Target.of(f"{name}: coverage_at_200, exhaustive shards", exact, ">=", 1.0))
        for depth in (TOP, K):
            column = f"coverage_at_{depth}"
            loss = mine["one graph"][column] - mine["shards"][column]
            targets.append(Target.of(f"{name}: {column} lost by shards", loss, "<=", 0.005))
    return targets


def _timed(job: ShardJob, numbers: list[int], times: list[float]) -> list[int]:
    for number in numbers:
        start_s = time.process_time()
        build_shard(job, number)
        times.append(time.process_time() - start_s)
    return numbers


def _shard_scorer(whole: Bundle, shard: Bundle) -> AnyShardScorer:
    model = whole.manifest.model
    matcher = load_matcher(model.name, model.config, whole.weights())
    return ShardScorer(matcher, shard.item_vectors(), read_tables(shard))


def _measured(
    retriever: Retriever,
    scorer: Scorer,
    queries: Sequence[Query],
    mode: Mode,
    exact: list[NDArray[np.int64]] | None,
) -> tuple[list[NDArray[np.int64]], Row]:
    """Ask one query after another; return the items and what they cost."""
    options = SearchOptions(k=K, mode=mode)
    retriever.search(scorer, queries[:1], options)
    found, took_ms = [], []
    cpu_s = time.process_time()
    for query in queries:
        start_s = time.perf_counter()
        found += retriever.search(scorer, [query], options)
        took_ms.append(1000 * (time.perf_counter() - start_s))
    cpu_s = time.process_time() - cpu_s
    items = [result.item_nums for result in found]
    missing = sorted({one.shard for result in found for one in result.missing})
    return items, {
        **{f"coverage_at_{k}": _coverage(exact or items, items, k) for k in (TOP, K)},
        "scored_ratio": float(np.mean([r.work.n_scored for r in found])) / retriever.n_items,
        "cpu_ms_per_query": 1000 * cpu_s / len(queries),
        "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)),
        "missing": ",".join(map(str, missing)),
    }


def _coverage(
    exact: Sequence[NDArray[np.int64]], found: Sequence[NDArray[np.int64]], k: int
) -> float:
    pairs = zip(exact, found, strict=True)
    return float(np.mean([np.isin(one[:k], two[:k]).mean() for one, two in pairs]))


def _bytes(shards: Sequence[_Counted]) -> NDArray[np.int64]:
    return np.array([sum(shard.sent for shard in shards), sum(shard.back for shard in shards)])
