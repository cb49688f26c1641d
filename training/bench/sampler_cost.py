"""What a batch of negatives costs: ``bns`` beside ``dns`` with the same number of candidates.

Samplers are compared by processor time, which other work on the machine changes least; the time
that passed is noted beside it.

Shapes: **P** positives of a batch, **U** users, **N** items, **D** embedding size.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from training.bench.form import Row, Target
from training.data import Ragged
from training.determinism import deterministic_torch
from training.objective import build_sampler
from training.pair_objective import dot_request
from training.pairs import PairBatch
from training.recipe import NegativeSettings
from training.samplers.base import Sampler, SamplerData, SampleRequest
from training.seen_items import SeenItems
from vizsla.cli_output import progress
from vizsla.rng import numpy_generator, torch_generator

__all__ = ["SIZES", "CostSettings", "LogSize", "cost_rows", "cost_targets", "zipf_log"]

HIGHEST_RATIO = 1.5
WARMUP_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class LogSize:
    """Size of a made-up log."""

    n_users: int
    n_items: int
    n_interactions: int


SIZES = (
    LogSize(943, 1_682, 80_000),
    LogSize(20_000, 20_000, 1_000_000),
    LogSize(20_000, 100_000, 1_500_000),
)


@dataclass(frozen=True, slots=True)
class CostSettings:
    """How sampling is timed.

    Attributes:
        batch_size: Positives of a batch P.
        n_candidates: Candidates of each positive, of which one becomes its negative.
        n_references: References of the sampled distribution function.
        embedding_size: D of the scores.
        rounds: Batches per sampler, in turns.
        threads: Torch threads.
        seed: Of log, scores and draws.
    """

    batch_size: int = 1024
    n_candidates: int = 10
    n_references: int = 64
    embedding_size: int = 64
    rounds: int = 200
    threads: int = 1
    seed: int = 0


class _Time(NamedTuple):
    """Of one batch: processor time of all threads, and time that passed."""

    cpu_s: float
    passed_s: float


def zipf_log(size: LogSize, seed: int, n_clusters: int = 50) -> Ragged:
    """Draw a log in which popularity is a power law and users keep to a cluster of items.

    Seven interactions of ten are with the user's own cluster, so that an item-item model
    finds something.  Pairs drawn twice count once.

    Example:
        >>> rows = zipf_log(LogSize(10, 100, 200), seed=0, n_clusters=5)
        >>> len(rows), int(rows.values.max()) < 100
        (10, True)
    """
    generator = numpy_generator(seed, "zipf log", size.n_items)
    users = generator.integers(0, size.n_users, size.n_interactions)
    n_own = max(1, size.n_items // n_clusters)
    own = _zipf(generator, n_own, len(users)) * n_clusters + users % n_clusters
    anything = _zipf(generator, size.n_items, len(users))
    items = np.where(generator.random(len(users)) < 0.7, own, anything) % size.n_items
    keys = np.unique(users * size.n_items + items)
    return Ragged.from_groups(keys // size.n_items, keys % size.n_items, size.n_users)


def _zipf(generator: np.random.Generator, n_ranks: int, count: int) -> NDArray[np.int64]:
    cumulative = np.cumsum(1.0 / np.arange(1, n_ranks + 1) ** 0.9)
    points = generator.random(count) * cumulative[-1]
    ranks: NDArray[np.int64] = np.searchsorted(cumulative, points)
    return ranks


def cost_rows(size: LogSize, settings: CostSettings) -> list[Row]:
    """Time all samplers on one log, in turns, so that a busy machine slows all alike."""
    rows = zipf_log(size, settings.seed)
    counts = torch.bincount(torch.from_numpy(rows.values), minlength=size.n_items)
    data = SamplerData(rows, SeenItems(rows, size.n_items), counts, settings.seed)
    with deterministic_torch(settings.seed, settings.threads):
        samplers = _samplers(data, settings)
        times = _times(samplers, data, settings)
    base = median(taken.cpu_s for taken in times["dns"])
    return [_row(name, times[name], base, size, settings) for name in samplers]


def cost_targets(rows: Sequence[Row]) -> list[Target]:
    """Compare ``bns`` with ``dns`` at every size."""
    return [
        Target.of(
            f"{row['n_items']:,} items: processor time of a batch, bns over dns",
            row["over_dns"],
            "<=",
            HIGHEST_RATIO,
        )
        for row in rows
        if row["system"] == "bns"
    ]


def _samplers(data: SamplerData, settings: CostSettings) -> dict[str, Sampler]:
    candidates = {"candidates_per_negative": settings.n_candidates}
    bns = {"prior": "item_item", "cdf": "sampled", "n_references": settings.n_references}
    options: Mapping[str, dict[str, Any]] = {
        "uniform": {"shared": False},
        "dns": candidates,
        "bns": candidates | bns,
    }
    return {
        name: build_sampler(
            name, NegativeSettings(sampler=name, options=given), data, settings.seed
        )
        for name, given in options.items()
    }


def _times(
    samplers: Mapping[str, Sampler], data: SamplerData, settings: CostSettings
) -> dict[str, list[_Time]]:
    """Return sampler to the times of its batches."""
    generator = torch_generator(settings.seed, "requests")
    users, items = (
        torch.randn(n, settings.embedding_size, generator=generator) * 0.1
        for n in (data.n_users, data.n_items)
    )
    times: dict[str, list[_Time]] = {name: [] for name in samplers}
    with progress(f"samplers, {data.n_items:,} items", settings.rounds, "rounds") as bar:
        for place in range(WARMUP_ROUNDS + settings.rounds):
            chosen = torch.randint(len(data.seen.keys), (settings.batch_size,), generator=generator)
            keys = data.seen.keys[chosen]
            pairs = PairBatch(keys // data.n_items, keys % data.n_items)
            request = dot_request(pairs, users[pairs.users], items)
            for name, sampler in samplers.items():
                taken = _timed(sampler, request)
                if place >= WARMUP_ROUNDS:
                    times[name].append(taken)
            bar.advance(place >= WARMUP_ROUNDS)
    return times


def _timed(sampler: Sampler, request: SampleRequest) -> _Time:
    cpu_s, passed_s = time.process_time(), time.perf_counter()
    sampler.sample(request, 1)
    return _Time(time.process_time() - cpu_s, time.perf_counter() - passed_s)


def _row(
    name: str, times: Sequence[_Time], base: float, size: LogSize, settings: CostSettings
) -> Row:
    low, middle, high = quantiles([taken.cpu_s for taken in times], n=4)
    return {
        "kind": "sampler",
        "system": name,
        "dataset": f"{size.n_users:,} x {size.n_items:,}",
        "n_items": size.n_items,
        "batch_size": settings.batch_size,
        "n_candidates": 1 if name == "uniform" else settings.n_candidates,
        "embedding_size": settings.embedding_size,
        "threads": settings.threads,
        "cpu_ms_per_batch": 1e3 * middle,
        "cpu_ms_per_batch_low": 1e3 * low,
        "cpu_ms_per_batch_high": 1e3 * high,
        "ms_per_batch": 1e3 * median(taken.passed_s for taken in times),
        "over_dns": middle / base,
    }
