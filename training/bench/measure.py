"""What an arm is worth: accuracy under exhaustive scoring, and coverage of cheap walks.

Shapes: **Q** queries, **K** results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph_index.backends import BACKENDS
from graph_index.build import build_graph
from graph_index.graph import Graph
from graph_index.settings import BuildSettings, SearchSettings
from training.bench.form import Row
from training.data import EvalCases, Split
from training.evaluation.search import queries_of, search
from training.metrics import coverage_at_k, evaluate_ranking
from training.ranking import (
    Ranking,
    both_scores,
    exhaustive_ranking,
    sample_cases,
    target_nll,
    top_k_rows,
)
from training.shrink import SHARES
from training.validation import PerQuery
from vizsla.contracts.index import Mode, Retriever, SearchOptions
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.scorer import TorchScorer

__all__ = ["PARTS", "WALKS", "K", "Walk", "columns_of", "measure", "unpacked"]

K = 50
PARTS = ("validation", "test")
FIGURES = ("recall_at_20", "ndcg_at_20", "recall_at_50", "nll")

_FEW_EVERY = 16
"""Only one in so many entry points: a walk that starts almost nowhere shows what a graph can do."""


class Walk(NamedTuple):
    """A walk that may score a share of the catalogue.

    Attributes:
        series: ``proxy`` starts from the proxy's best items, ``medoids`` from the index's entry
            points, ``few`` from a sixteenth of them.
        share: Of the items that it may score.
    """

    series: str
    share: float

    @property
    def column(self) -> str:
        """Name of its coverage."""
        return f"{self.series}_coverage_at_{100 * self.share:g}%"

    def options(self, n_items: int) -> SearchOptions:
        """Return a beam that uses the budget up: about a quarter of it, for ``proxy``."""
        budget = max(K, round(self.share * n_items))
        by_proxy = self.series == "proxy"
        beam_width = max(K, budget // (4 if by_proxy else 24))
        return SearchOptions(
            k=K,
            mode=Mode.WALK,
            beam_width=beam_width,
            entry_width=max(1, beam_width // 4),
            proxy_seeds=max(K, 2 * budget // 5) if by_proxy else 0,
            max_scored=budget,
        )


WALKS = (
    Walk("proxy", 0.005),
    Walk("proxy", 0.01),
    Walk("proxy", 0.02),
    Walk("medoids", 0.05),
    Walk("few", 0.05),
)
"""Cheap ones: at 5 % from the proxy, whatever the training, everything is found."""


def columns_of(part: str) -> list[str]:
    """Return the names of the figures of one part."""
    return [f"{part}_{name}" for name in (*FIGURES, *(walk.column for walk in WALKS))]


def measure(matcher: Matcher, split: Split, max_queries: int, seed: int) -> Row:
    """Measure a matcher on validation and on test.

    Everything is measured with the whole of the deep score.  ``vizsla train`` keeps a share of
    it, fitted on validation in a few coarse steps: an arm that fell on another step would be
    easier or harder to search for that alone.

    Args:
        matcher: Put into evaluation mode.
        split: The data.
        max_queries: Of each part; 0 for all.
        seed: Of the samples of queries: other seeds, other queries.

    Returns:
        Every figure's mean, and under ``queries`` the figures query by query as text (see
        ``unpacked``); ``share`` is what ``vizsla train`` would keep of the deep score, and
        ``validation_served_recall_at_20`` the recall with that.
    """
    matcher.eval()
    cases = {part: sample_cases(getattr(split, part), max_queries or None, seed) for part in PARTS}
    by_share = _by_share(matcher, split, cases["validation"])
    share = min(by_share, key=lambda share: float(by_share[share].nll.mean()))
    rankings = {
        "validation": by_share[1.0],
        "test": exhaustive_ranking(matcher, split, cases["test"], K),
    }
    values = _values(matcher, split, cases, rankings)
    served = _accuracy(by_share[share], cases["validation"])["recall_at_20"]
    row: Row = {"share": share, "n_queries": len(cases["test"].targets)}
    row |= {name: float(column.mean()) for name, column in values.items()}
    row["validation_served_recall_at_20"] = float(served.mean())
    return row | {"queries": {name: _packed(column) for name, column in values.items()}}


def unpacked(text: str) -> NDArray[np.float64]:
    """Read figures query by query, as a row keeps them.

    Example:
        >>> unpacked("0.5,1,0").tolist()
        [0.5, 1.0, 0.0]
    """
    return np.array([float(number) for number in text.split(",")])


def _packed(values: NDArray[np.float64]) -> str:
    return ",".join(f"{value:.5g}" for value in values)


def _values(
    matcher: Matcher,
    split: Split,
    cases: Mapping[str, EvalCases],
    rankings: Mapping[str, Ranking],
) -> PerQuery:
    """Return every figure of both parts, query by query."""
    scorer = TorchScorer(matcher)
    indexes = _indexes(scorer.item_vectors)
    values: PerQuery = {}
    for part, ranking in rankings.items():
        own = _accuracy(ranking, cases[part])
        own |= _coverages(scorer, indexes, split, cases[part], ranking.top_items)
        values |= {f"{part}_{name}": column for name, column in own.items()}
    return values


def _by_share(matcher: Matcher, split: Split, cases: EvalCases) -> dict[float, Ranking]:
    """Rank with every share of the deep score that ``vizsla train`` would try, and with none.

    The deep branch is a term of the score, so one pass over the catalogue does for all.
    """
    found: dict[float, list[Ranking]] = {share: [] for share in (0.0, *SHARES)}
    for own, deep, two_sided in both_scores(matcher, split, cases):
        for share, parts in found.items():
            scores = two_sided + np.float32(share) * (deep - two_sided)
            nll = target_nll(scores, own.targets, own.seen)
            parts.append(Ranking(top_k_rows(scores, K, own.seen), nll))
    return {
        share: Ranking(*map(np.concatenate, zip(*parts, strict=True)))
        for share, parts in found.items()
    }


def _accuracy(ranking: Ranking, cases: EvalCases) -> PerQuery:
    found = evaluate_ranking(ranking.top_items, cases.targets, (20, K)) | {"nll": ranking.nll}
    return {name: found[name] for name in FIGURES}


def _indexes(vectors: NDArray[np.float32]) -> dict[str, Retriever]:
    """Build the graph once, and open it with all of its entry points and with a few."""
    graph = build_graph(vectors, BuildSettings(), seed=0)
    few = replace(graph, entry_points=graph.entry_points[::_FEW_EVERY].copy())
    return {
        "medoids": _opened(graph, vectors),
        "proxy": _opened(graph, vectors),
        "few": _opened(few, vectors),
    }


def _opened(graph: Graph, vectors: NDArray[np.float32]) -> Retriever:
    retriever: Retriever = BACKENDS.load("graph").from_graph(graph, vectors, SearchSettings())
    return retriever


def _coverages(
    scorer: TorchScorer,
    indexes: Mapping[str, Retriever],
    split: Split,
    cases: EvalCases,
    exhaustive: NDArray[np.int64],
) -> PerQuery:
    columns = () if split.user_features is None else split.user_features.names
    queries, found = queries_of(split, cases, columns), {}
    for walk in WALKS:
        retriever, options = indexes[walk.series], walk.options(split.n_items)
        top_items = search(retriever, scorer, queries, cases, options).top_items
        found[walk.column] = coverage_at_k(top_items, exhaustive)
    return found
