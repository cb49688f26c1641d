"""All systems of an evaluation, each as the lists it gives the same queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import open_retriever
from training.baselines.base import DoesNotFitError, baseline_top_k, recommendation_histories
from training.baselines.tuning import fit_best
from training.baselines.two_sided_faiss import TwoSidedFaiss
from training.data import Split
from training.evaluation.curve import CurveInputs, coverage_curve, n_steps
from training.evaluation.results import MATCHER, CurvePoint, Kind, Work
from training.evaluation.search import queries_of, search, two_sided_top_k, user_vectors
from training.ranking import sample_cases, take_cases
from vizsla.bundles import Bundle, read_tables
from vizsla.cli_output import progress
from vizsla.contracts.index import Mode, Query, Retriever, SearchOptions
from vizsla.models.recommender.loading import load_scorer
from vizsla.models.recommender.scorer import TorchScorer

__all__ = ["RIVALS", "EvaluateSettings", "EvaluationRun", "System"]

RIVALS = ("popularity", "cooccurrence", "item_knn", "ease")


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """What to evaluate.

    Attributes:
        part: ``test`` for reports, ``validation`` for choices.
        max_queries: Size of the seeded sample of queries; None for all.
        ks: List lengths, ascending.
        list_k: The k of the main table and of the shape of the lists.
        seed: Of the sample of queries and of the bootstrap.
        rivals: Names in ``BASELINES``.
        curve_queries: Queries of the coverage curve; 0 for no curve.
    """

    part: str = "test"
    max_queries: int | None = 5_000
    ks: tuple[int, ...] = (10, 20, 50)
    list_k: int = 20
    seed: int = 0
    rivals: tuple[str, ...] = RIVALS
    curve_queries: int = 200


@dataclass(frozen=True, slots=True)
class System:
    """Lists of one system, before they are judged.

    Attributes:
        name: Unique within an evaluation.
        kind: See ``Row``.
        top_items: ``(Q, K)`` int64, best first, padded with -1.
        settings: What was chosen on validation.
        work: What a search under the matcher cost.
    """

    name: str
    kind: Kind
    top_items: NDArray[np.int64]
    settings: dict[str, object] = field(default_factory=dict)
    work: Work | None = None


class EvaluationRun:
    """One evaluation while it runs: what all systems share.

    Attributes:
        all_cases: The queries there are.
        cases: The sample that is evaluated.
        notes: What was left out so far, and why.
    """

    def __init__(self, bundle: Bundle, split: Split, settings: EvaluateSettings) -> None:
        self._bundle, self._split, self._settings = bundle, split, settings
        self.notes: list[str] = []
        self.all_cases = split.test if settings.part == "test" else split.validation
        self.cases = sample_cases(self.all_cases, settings.max_queries, settings.seed)
        self._k = max(settings.ks)

    @cached_property
    def _scorer(self) -> TorchScorer:
        model = self._bundle.manifest.model
        weights, tables = self._bundle.weights(), read_tables(self._bundle)
        return load_scorer(model.name, model.config, weights, tables)

    @cached_property
    def _retriever(self) -> Retriever:
        return open_retriever(self._bundle)

    @cached_property
    def _queries(self) -> list[Query]:
        columns = list(self._bundle.manifest.user_features)
        return queries_of(self._split, self.cases, columns)

    def systems(self) -> Iterator[System]:
        """Yield every system's lists, the exhaustive matcher's first."""
        yield self._search(MATCHER, "matcher", SearchOptions(k=self._k, mode=Mode.EXHAUSTIVE))
        if self._bundle.graph_dir is None:
            self.notes.append("walks: the bundle has no graph; run `vizsla index build`")
        else:
            medoids = SearchOptions(k=self._k, mode=Mode.WALK, proxy_seeds=0)
            yield self._search("walk_medoids", "walk", medoids)
            yield self._search("walk_proxy", "walk", SearchOptions(k=self._k, mode=Mode.WALK))
        yield from self._two_sided()
        for name in self._settings.rivals:
            yield from self._rival(name)

    def curve(self, exhaustive: NDArray[np.int64]) -> list[CurvePoint]:
        """Return the coverage curve on a sample of the queries; empty without a graph."""
        n_queries = min(self._settings.curve_queries, len(self._queries))
        if n_queries == 0 or self._bundle.graph_dir is None:
            return []
        rows = np.linspace(0, len(self._queries) - 1, n_queries).astype(np.int64)
        inputs = CurveInputs(
            self._retriever,
            self._scorer,
            [self._queries[row] for row in rows],
            take_cases(self.cases, rows),
            exhaustive[rows],
        )
        total = n_queries * n_steps(self._split.n_items, self._k)
        with progress("coverage curve", total=total, unit="queries") as bar:
            return coverage_curve(inputs, bar.advance)

    def _search(self, name: str, kind: Kind, options: SearchOptions) -> System:
        with progress(name, total=len(self._queries), unit="queries") as bar:
            found = search(
                self._retriever,
                self._scorer,
                self._queries,
                self.cases,
                options,
                advance=bar.advance,
            )
        return System(name, kind, found.top_items, work=found.work(self._split.n_items))

    def _two_sided(self) -> Iterator[System]:
        vectors = self._bundle.item_vectors()
        users = user_vectors(self._scorer, self._queries)
        with progress("two_sided", total=2 * len(users), unit="queries") as bar:
            exact = two_sided_top_k(users, vectors, self.cases, self._k, bar.advance)
            yield System("two_sided", "rival", exact)
            index = TwoSidedFaiss(vectors)
            found = index.top_k(users, self._k, self.cases.seen, bar.advance)
            yield System("two_sided_faiss", "rival", found)

    def _rival(self, name: str) -> Iterator[System]:
        histories = recommendation_histories(self._split, self.cases)
        with progress(name, total=len(histories), unit="queries") as bar:
            try:
                fitted = fit_best(name, self._split, seed=self._settings.seed, note=bar.note)
            except DoesNotFitError as error:
                self.notes.append(f"{name}: {error}")
                return
            top_items = baseline_top_k(
                fitted.baseline, self.cases, self._k, histories=histories, advance=bar.advance
            )
        yield System(name, "rival", top_items, fitted.settings)
