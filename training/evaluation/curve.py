"""How coverage grows with the number of deep scores, for three ways to spend them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data import EvalCases
from training.evaluation.results import CurvePoint
from training.evaluation.search import Found, search
from training.metrics import coverage_at_k, recall_at_k
from vizsla.contracts.index import Mode, ProxyScorer, Query, Retriever, SearchOptions

__all__ = ["BEAM_WIDTHS", "CurveInputs", "coverage_curve", "n_steps"]

BEAM_WIDTHS = (20, 50, 100, 200, 400, 800, 1_600)
"""Beams tried; those below k or over a quarter of the catalogue are left out."""

_ENTRY_SHARE = 4
_PROXY_SEEDS_PER_BEAM = 2.5


class CurveInputs(NamedTuple):
    """What is searched, by whom, and the right answer.

    Attributes:
        exhaustive: ``(Q, k)`` int64 lists of exhaustive scoring, of the same Q queries.
    """

    retriever: Retriever
    scorer: ProxyScorer
    queries: Sequence[Query]
    cases: EvalCases
    exhaustive: NDArray[np.int64]


def coverage_curve(
    inputs: CurveInputs, advance: Callable[[int], object] | None = None
) -> list[CurvePoint]:
    """Sweep the beam width of both walks, and re-ranking with as many deep scores.

    ``medoids`` starts from the entry set, ``proxy`` from the proxy's best
    ``2.5 * beam_width`` items, ``rerank`` scores the proxy's best items and nothing
    else, exactly as many as the proxy walk of the same place scored on average
    (the comparison at equal deep scores that Chen et al. leave out).

    Args:
        inputs: Q queries; some hundred are enough.
        advance: Called with the number of queries done, ``n_steps`` times Q in all.
    """
    points = [_exhaustive_point(inputs)]
    for beam_width in _beam_widths(inputs.retriever.n_items, inputs.exhaustive.shape[1]):
        medoids = _walk(inputs, beam_width, 0, advance)
        points.append(_point(inputs, "medoids", beam_width, medoids))
        seeds = round(beam_width * _PROXY_SEEDS_PER_BEAM)
        proxy = _walk(inputs, beam_width, seeds, advance)
        points.append(_point(inputs, "proxy", beam_width, proxy))
        budget = max(1, round(float(proxy.n_scored.mean())))
        points.append(_point(inputs, "rerank", budget, _rerank(inputs, budget, advance)))
    return points


def n_steps(n_items: int, k: int) -> int:
    """Return the number of sweeps over all queries."""
    return 3 * len(_beam_widths(n_items, k))


def _beam_widths(n_items: int, k: int) -> list[int]:
    """Return the beams to try, at least one."""
    widths = [width for width in BEAM_WIDTHS if k <= width <= n_items // 4]
    return widths or [k]


def _walk(
    inputs: CurveInputs, beam_width: int, seeds: int, advance: Callable[[int], object] | None
) -> Found:
    options = SearchOptions(
        k=inputs.exhaustive.shape[1],
        mode=Mode.WALK,
        beam_width=beam_width,
        entry_width=max(1, beam_width // _ENTRY_SHARE),
        proxy_seeds=seeds,
    )
    return _search(inputs, options, advance)


def _rerank(inputs: CurveInputs, budget: int, advance: Callable[[int], object] | None) -> Found:
    k = inputs.exhaustive.shape[1]
    options = SearchOptions(k=k, mode=Mode.EXHAUSTIVE, max_scored=budget)
    return _search(inputs, options, advance)


def _search(
    inputs: CurveInputs, options: SearchOptions, advance: Callable[[int], object] | None
) -> Found:
    retriever, scorer, queries, cases, _ = inputs
    return search(retriever, scorer, queries, cases, options, advance=advance)


def _exhaustive_point(inputs: CurveInputs) -> CurvePoint:
    k = inputs.exhaustive.shape[1]
    recall = recall_at_k(inputs.exhaustive, inputs.cases.targets, k)
    return CurvePoint(
        series="exhaustive", beam_width=0, scored_ratio=1.0, coverage=1.0, recall=recall.mean()
    )


def _point(inputs: CurveInputs, series: str, beam_width: int, found: Found) -> CurvePoint:
    k = inputs.exhaustive.shape[1]
    return CurvePoint(
        series=series,
        beam_width=beam_width,
        scored_ratio=float(found.n_scored.mean() / inputs.retriever.n_items),
        coverage=float(coverage_at_k(found.top_items, inputs.exhaustive).mean()),
        recall=float(recall_at_k(found.top_items, inputs.cases.targets, k).mean()),
    )
