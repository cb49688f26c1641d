"""What the retrieval bench compares: systems, and the operating points of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from vizsla.contracts.index import Mode, SearchOptions

__all__ = ["EXHAUSTIVE", "SYSTEMS", "Numbers", "Point", "System", "points_of"]

Numbers = tuple[tuple[str, int], ...]
"""Names with values, in a form that can be a key."""


@dataclass(frozen=True, slots=True)
class System:
    """A way to answer, before its operating point is chosen.

    Attributes:
        name: Unique within the bench.
        backend: Registered name.
        grid: Key of ``GRIDS``: which settings are tried.
        scorer: Key of ``training.bench.retrieval.scorers.SCORERS``.
        settings: Search settings it opens with.
        seeded: Whether it uses the scorer's dot product.
        slow: Whether it is measured on a catalogue of at most 100,000 items only.
    """

    name: str
    backend: str
    grid: str
    scorer: str = "own"
    settings: Numbers = ()
    seeded: bool = True
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A system with its settings: one row of the table.

    Attributes:
        k: Results asked for.
        options: ``SearchOptions`` that differ from the defaults.
    """

    system: System
    k: int
    options: Numbers = ()

    @property
    def name(self) -> str:
        """Name it as the table does: ``walk_proxy@200 beam_width=200 proxy_seeds=500``."""
        numbers = " ".join(f"{name}={value}" for name, value in self.options)
        return f"{self.system.name}@{self.k} {numbers}".strip()

    def search_options(self) -> SearchOptions:
        """Return what to ask the retriever for."""
        mode = Mode.EXHAUSTIVE if self.system.grid == "all" else Mode.WALK
        numbers: Mapping[str, Any] = dict(self.options)
        return SearchOptions(k=self.k, mode=mode, **numbers)


EXHAUSTIVE = System("exhaustive", "exhaustive", "all", seeded=False)

SYSTEMS = (
    System("walk_proxy", "graph", "seeded"),
    System("walk_proxy_int8", "graph", "seeded", settings=(("seed_search", 1),)),
    System("walk_proxy_hnsw", "graph", "seeded_hnsw", settings=(("seed_search", 2),)),
    System("walk_device", "torch_device", "seeded"),
    System("walk_entries", "graph", "entries", seeded=False),
    System("walk_proxy_pruned", "graph", "seeded", settings=(("keep_percent", 50),)),
    System("walk_entries_pruned", "graph", "entries", settings=(("keep_percent", 40),)),
    System(
        "walk_entries_gradient",
        "graph_gradient",
        "entries",
        settings=(("keep_percent", 40),),
        seeded=False,
        slow=True,
    ),
    System("two_stage", "two_stage", "two_stage"),
    System("proxy_scan", "proxy_scan", "rescore"),
    System("proxy_walk", "graph", "walked"),
    System("proxy_scan_int8", "proxy_scan_int8", "rescore"),
    System("hnsw_greedy", "hnsw_greedy", "greedy", seeded=False, slow=True),
    System("random", "random", "control", seeded=False),
    System("popularity", "popularity", "control", seeded=False),
    System("rails", "rails", "rails"),
    System("history_walk_proxy", "graph", "seeded", scorer="history"),
    System("history_proxy_scan", "proxy_scan", "rescore", scorer="history"),
    System("deep_walk_proxy", "graph", "seeded", scorer="deep_only"),
    System("deep_walk_entries", "graph", "entries", scorer="deep_only", seeded=False),
    System(
        "deep_walk_entries_gradient",
        "graph_gradient",
        "entries",
        scorer="deep_only",
        settings=(("keep_percent", 40),),
        seeded=False,
        slow=True,
    ),
    System("deep_proxy_scan", "proxy_scan", "rescore", scorer="deep_only"),
)
"""In the table's order.  ``history_``: the scorer without its dot product, the mean of the history's
vectors in its place.  ``deep_``: the scorer minus its dot product, so that nothing cheap is near it."""

CANDIDATES = (1.1, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0, 30.0)
"""Candidates of a rescoring system, in multiples of ``k``."""


def points_of(system: System, k: int, n_items: int) -> list[Point]:
    """Return the operating points to try, each once; counts stay below half the catalogue."""
    most = max(k, n_items // 2)
    made: dict[Point, None] = {}
    for options in GRIDS[system.grid](k, n_items):
        kept = {name: min(value, most) for name, value in options.items()}
        made[Point(system, k, tuple(sorted(kept.items())))] = None
    return list(made)


def _seeded(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share, entry, rounds in product((1.5, 2.5, 4.0, 7.0, 12.0), (0.1, 0.25, 0.6), (1, 2)):
        yield _walk(k, entry, rounds) | {"proxy_seeds": round(k * share)}
    yield _walk(k, 0.5, 3) | {"proxy_seeds": round(2.5 * k)}


def _seeded_hnsw(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share, effort, entry in product(CANDIDATES[1:6], (1.0, 1.5, 2.5), (0.05, 0.1, 0.25)):
        seeds = {"proxy_seeds": round(k * share), "seed_effort": round(k * share * effort)}
        yield _walk(k, entry, 1) | seeds


def _entries(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for beam, entry, rounds in product((1.0, 2.0, 4.0), (0.1, 0.25, 0.6), (2, 3, 5)):
        yield _walk(k, entry, rounds, beam) | {"proxy_seeds": 0}


def _walk(k: int, entry: float, rounds: int, beam: float = 1.0) -> dict[str, int]:
    return {
        "beam_width": round(k * beam),
        "entry_width": max(1, round(k * entry)),
        "max_rounds": rounds,
    }


def _rescore(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share in CANDIDATES:
        yield {"proxy_seeds": round(k * share)}


def _walked(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share in CANDIDATES:
        yield {"proxy_seeds": round(k * share), "beam_width": k, "max_rounds": 0}


def _two_stage(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share, effort in product(CANDIDATES, (1.0, 1.5, 2.5)):
        yield {"proxy_seeds": round(k * share), "beam_width": round(k * share * effort)}


def _greedy(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for beam in (1.0, 2.0, 4.0):
        yield {"beam_width": round(k * beam)}


def _control(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share in (0.01, 0.05, 0.25):
        yield {"proxy_seeds": max(k, round(n_items * share))}


def _rails(k: int, n_items: int) -> Iterator[dict[str, int]]:
    for share, rounds in product((1.5, 3.0, 6.0), (0, 1)):
        yield {"proxy_seeds": round(k * share), "max_rounds": rounds}


def _all(k: int, n_items: int) -> Iterator[dict[str, int]]:
    yield {}


GRIDS = {
    "seeded": _seeded,
    "seeded_hnsw": _seeded_hnsw,
    "entries": _entries,
    "rescore": _rescore,
    "walked": _walked,
    "two_stage": _two_stage,
    "greedy": _greedy,
    "control": _control,
    "rails": _rails,
    "all": _all,
}
