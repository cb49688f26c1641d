"""What the machine could do, and what a scorer asks of it: the yardsticks of efficiency."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from training.bench.retrieval.arena import Arena
from vizsla.bundles import read_tables
from vizsla.contracts.index import SearchResult
from vizsla.models.recommender.scorer import TorchScorer

__all__ = ["Yardstick", "measure_yardstick"]

_PEAK_SIZE = 1024
_PEAK_BYTES = 2**28
_ATTEMPTS = 7
_COUNTED_ITEMS = 512
_COUNTED_QUERIES = 32


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Measured limits of one core, and the work of one score.

    Attributes:
        flops_per_s: Largest rate of a float32 matrix product.
        bytes_per_s: Largest rate of reading memory in order.
        flops_per_state: Matrix products of one query's state.
        flops_per_score: Matrix products of one deep score.
        bytes_per_score: Table rows that one deep score reads.
        size: D, entries of an item vector.
    """

    flops_per_s: float
    bytes_per_s: float
    flops_per_state: float
    flops_per_score: float
    bytes_per_score: float
    size: int

    def product_s(self, results: list[SearchResult]) -> float:
        """Return the seconds that the matrix products of some searches take at the peak."""
        scored = sum(result.work.n_scored for result in results)
        proxied = sum(result.work.n_proxy_scored for result in results)
        work = len(results) * self.flops_per_state + scored * self.flops_per_score
        return (work + proxied * 2 * self.size) / self.flops_per_s

    def reading_s(self, results: list[SearchResult]) -> float:
        """Return the seconds that reading the rows they touched takes at the peak."""
        scored = sum(result.work.n_scored for result in results)
        proxied = sum(result.work.n_proxy_scored for result in results)
        return (scored * self.bytes_per_score + proxied * 4 * self.size) / self.bytes_per_s


def measure_yardstick(arena: Arena) -> Yardstick:
    """Measure the machine, and count the products of the bundle's scorer."""
    per_state, per_score = _flops(arena)
    return Yardstick(
        flops_per_s=_flops_per_s(),
        bytes_per_s=_bytes_per_s(),
        flops_per_state=per_state,
        flops_per_score=per_score,
        bytes_per_score=arena.torch_scorer.bytes_per_item,
        size=arena.vectors.shape[1],
    )


def _flops(arena: Arena) -> tuple[float, float]:
    """Count on the torch scorer, whose products torch sees, with the data's histories."""
    scorer = TorchScorer(arena.matcher, tables=read_tables(arena.bundle), compiled=False)
    queries = arena.part("validation").queries[:_COUNTED_QUERIES]
    n_items = min(_COUNTED_ITEMS, arena.n_items)
    items = np.arange(n_items)
    states = _counted(lambda: [scorer.user_state([query]) for query in queries])
    made = [scorer.user_state([query]) for query in queries]
    zeros = np.zeros(n_items, np.int64)
    scores = _counted(lambda: [scorer.score(state, zeros, items) for state in made])
    return states / len(queries), scores / (len(queries) * n_items)


def _counted(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def _flops_per_s() -> float:
    left = torch.rand(_PEAK_SIZE, _PEAK_SIZE)
    fastest = _fastest(lambda: left @ left)
    return 2 * _PEAK_SIZE**3 / fastest


def _bytes_per_s() -> float:
    table = np.ones(_PEAK_BYTES // 4, np.float32)
    return _PEAK_BYTES / _fastest(table.max)


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_ATTEMPTS):
        start_s = time.process_time()
        work()
        seconds.append(time.process_time() - start_s)
    return min(seconds)
