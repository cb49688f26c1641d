"""One opened bundle with its queries: everything that all systems of the bench share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from graph_index.attach import load_graph, search_settings
from graph_index.backends import BACKENDS
from graph_index.candidates import CandidateSource, SourceKind, open_source
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from training.bench.retrieval.points import Numbers, System
from training.bench.retrieval.scorers import SCORERS
from training.bench.retrieval.set_marks import SetMarksRetriever
from training.data import EvalCases, Split
from training.evaluation.search import queries_of
from training.ranking import sample_cases, slice_rows
from vizsla.blas import one_blas_thread
from vizsla.bundles import Bundle, read_tables
from vizsla.cli_output import say
from vizsla.contracts.index import ProxyScorer, Query, Retriever, SearchOptions, SearchResult
from vizsla.errors import UsageError
from vizsla.models.recommender.loading import load_matcher, matcher_scorer
from vizsla.models.recommender.mixture_of_logits import MixtureOfLogits
from vizsla.models.recommender.scorer import TorchScorer

__all__ = ["Arena", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """Queries of one part of the data.

    Attributes:
        cases: Q queries with their targets.
        queries: The same as serving would make them.
    """

    cases: EvalCases
    queries: list[Query]

    def excluded(self, start: int, stop: int) -> tuple[NDArray[np.int64], ...]:
        """Return what the users of some queries have seen."""
        return tuple(slice_rows(self.cases.seen, start, stop))


@dataclass
class Arena:
    """What is searched, by whom, for whom; one thread.

    Args:
        bundle: With a graph.
        split: Of the data that the bundle names.
        sizes: Queries of each part.
        seed: Of the samples.
        folder: Where exhaustive answers are kept.
        device: Where systems on a torch device run; None leaves them out.
    """

    bundle: Bundle
    split: Split
    sizes: dict[str, int]
    seed: int
    folder: Path
    device: str | None = None
    build_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bundle.graph_dir is None:
            raise UsageError(f"{self.bundle.path} has no graph: run `vizsla index build`")
        torch.set_num_threads(1)
        one_blas_thread()
        faiss.omp_set_num_threads(1)
        self._retrievers: dict[tuple[str, Numbers], tuple[Any, float]] = {}
        self._sources: dict[SourceKind, tuple[CandidateSource, float]] = {}
        self._scorers: dict[str, ProxyScorer] = {}
        self._parts: dict[str, Part] = {}

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self.bundle.manifest.n_items

    @cached_property
    def matcher(self) -> Any:
        """The bundle's model."""
        model = self.bundle.manifest.model
        return load_matcher(model.name, model.config, self.bundle.weights())

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """``(N, D)`` float32 item vectors."""
        return self.bundle.item_vectors()

    @cached_property
    def graph(self) -> Graph:
        """The bundle's graph."""
        return load_graph(self.bundle)[0]

    @cached_property
    def settings(self) -> SearchSettings:
        """The bundle's own search settings."""
        return search_settings(load_graph(self.bundle)[1])

    @cached_property
    def torch_scorer(self) -> TorchScorer:
        """The bundle's scorer."""
        return matcher_scorer(self.matcher, read_tables(self.bundle))

    def fits(self, system: System) -> bool:
        """Return whether a system makes sense here: components for rails, patience for the slow."""
        if system.grid == "walked":
            return self.n_items > self.settings.proxy_scan_below
        if system.backend == "torch_device" and self.device is None:
            return False
        if system.backend == "rails":
            return isinstance(self.matcher, MixtureOfLogits)
        return not (system.slow and self.n_items > 100_000)

    def scorer(self, name: str) -> ProxyScorer:
        """Return a scorer by name, made once."""
        if name not in self._scorers:
            self._scorers[name] = SCORERS[name](self.torch_scorer, self.matcher, self.vectors)
        return self._scorers[name]

    def retriever(self, system: System) -> Any:
        """Return a system's retriever, opened once; ``build_s`` says how long that took."""
        key = system.backend, system.settings
        if key not in self._retrievers:
            settings = self.settings.model_copy(update=dict(system.settings))
            start_s = time.perf_counter()
            opened = self._open(system.backend, settings)
            spent_s = time.perf_counter() - start_s + self._give_source(opened, settings)
            self._retrievers[key] = opened, spent_s
        opened, self.build_s[system.name] = self._retrievers[key]
        return opened

    def part(self, name: str) -> Part:
        """Return the seeded sample of a part's queries."""
        if name not in self._parts:
            everything = self.split.validation if name == "validation" else self.split.test
            cases = sample_cases(everything, self.sizes[name], self.seed)
            columns = list(self.bundle.manifest.user_features)
            self._parts[name] = Part(cases, queries_of(self.split, cases, columns))
        return self._parts[name]

    def search(
        self, system: System, part: str, start: int, stop: int, options: SearchOptions
    ) -> list[SearchResult]:
        """Answer some queries of a part, leaving out what their users have seen."""
        own = self.part(part)
        asked = replace(options, excluded=own.excluded(start, stop))
        retriever: Retriever = self.retriever(system)
        return retriever.search(self.scorer(system.scorer), own.queries[start:stop], asked)

    def _give_source(self, opened: Any, settings: SearchSettings) -> float:
        """Give a retriever the index that it searches for candidates, made once for all systems.

        Returns:
            Seconds that the making took, 0 where the retriever needs none.
        """
        kind: SourceKind = getattr(opened, "source_kind", settings.seed_search)
        if kind == 0 or not isinstance(opened, GraphRetriever):
            return 0.0
        if kind not in self._sources:
            say(f"opening the index of candidates {kind}")
            start_s = time.perf_counter()
            made = open_source(kind, self.vectors)
            self._sources[kind] = made, time.perf_counter() - start_s
        opened.source, spent_s = self._sources[kind]
        return spent_s

    def _open(self, backend: str, settings: SearchSettings) -> Any:
        if backend == "graph_set_marks":
            return SetMarksRetriever(self.graph, self.vectors, settings)
        opened = BACKENDS.load(backend)
        if backend == "popularity":
            counts = self.bundle.items.column("n_interactions").to_numpy()
            return opened(self.graph, self.vectors, settings, n_interactions=counts)
        placed = {"device": self.device} if backend == "torch_device" else {}
        return opened.from_graph(
            self.graph, self.vectors, settings, tables=read_tables(self.bundle), **placed
        )
