"""Settings of the rivals, chosen on validation queries: rivals get the same care as the matcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.baselines import BASELINES
from training.baselines.base import Baseline, baseline_top_k, recommendation_histories
from training.baselines.item_item import ItemItem
from training.data import EvalCases, Split
from training.metrics import ndcg_at_k
from training.ranking import sample_cases

__all__ = ["CHOICE_K", "GRIDS", "Fitted", "Grid", "fit_best"]

CHOICE_K = 20
"""Settings are chosen by NDCG at this k."""

LARGE_CATALOGUE = 8_000
"""From here on a fit of EASE takes so long that only the first of its grid is tried."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Settings to try.

    Attributes:
        ordered: Settings of ``fit`` for data with an order.
        unordered: The same for data without.
        decays: ``history_decay`` to try with each, where there is an order; costs no fit.
    """

    ordered: tuple[Mapping[str, Any], ...] = ({},)
    unordered: tuple[Mapping[str, Any], ...] = ({},)
    decays: tuple[float, ...] = ()


GRIDS: Mapping[str, Grid] = {
    "cooccurrence": Grid(
        ordered=(
            {"window": 1, "window_decay": 1.0},
            {"window": 5, "window_decay": 0.7},
            {"window": 20, "window_decay": 0.9},
        ),
        decays=(0.3, 0.5, 0.7, 0.9),
    ),
    "item_knn": Grid(
        ordered=(
            {"n_neighbours": 100, "shrinkage": 0.0},
            {"n_neighbours": 400, "shrinkage": 10.0},
        ),
        unordered=(
            {"n_neighbours": 100, "shrinkage": 10.0},
            {"n_neighbours": 400, "shrinkage": 10.0},
            {"n_neighbours": 400, "shrinkage": 50.0},
            {"n_neighbours": 400, "shrinkage": 200.0},
        ),
        decays=(0.3, 0.5, 0.8, 0.95, 1.0),
    ),
    "ease": Grid(
        ordered=({"reg": 500.0}, {"reg": 200.0}, {"reg": 1000.0}),
        unordered=({"reg": 500.0}, {"reg": 200.0}, {"reg": 1000.0}),
        decays=(0.5, 0.8, 0.95, 1.0),
    ),
}
"""What is tried, per baseline; one that is not here has nothing to choose."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A baseline with the settings that did best on validation.

    Attributes:
        baseline: Fitted on ``split.train``.
        settings: What was chosen.
        validation_ndcg: NDCG@20 there; None where there was nothing to choose.
    """

    baseline: Baseline
    settings: dict[str, Any]
    validation_ndcg: float | None = None


def fit_best(
    name: str,
    split: Split,
    *,
    seed: int = 0,
    max_queries: int = 2_000,
    note: Callable[[str], object] | None = None,
) -> Fitted:
    """Fit a baseline, with the settings that rank validation targets best.

    Args:
        name: A name in ``BASELINES``.
        split: Fitted on its training part, chosen on its validation part; test is not looked at.
        seed: Of the sample of validation queries.
        max_queries: Size of that sample.
        note: Told what is being tried, for a progress bar.

    Raises:
        UnknownNameError: No such baseline.
        DoesNotFitError: The catalogue is too large for it.
    """
    kind = BASELINES.load(name)
    cases = sample_cases(split.validation, max_queries, seed)
    if name not in GRIDS or len(cases.targets) == 0:
        return Fitted(_fitted(kind(), split), {})
    best: Fitted | None = None
    for baseline, settings in _candidates(name, split):
        if note is not None:
            note(f"{name} {settings}")
        value = _validation_ndcg(baseline, split, cases)
        if best is None or value > (best.validation_ndcg or 0.0):
            best = Fitted(baseline, settings, value)
    assert best is not None, f"empty grid of {name}"
    return best


def _candidates(name: str, split: Split) -> Iterator[tuple[Baseline, dict[str, Any]]]:
    grid, kind = GRIDS[name], BASELINES.load(name)
    ordered = split.order != "none"
    fits = grid.ordered if ordered else grid.unordered
    if name == "ease" and split.n_items > LARGE_CATALOGUE:
        fits = fits[:1]
    for settings in fits:
        fitted = _fitted(kind(**settings), split)
        if not (ordered and isinstance(fitted, ItemItem)):
            yield fitted, dict(settings)
            continue
        for decay in grid.decays:
            yield fitted.with_decay(decay), {**settings, "history_decay": decay}


def _fitted(baseline: Baseline, split: Split) -> Baseline:
    baseline.fit(split)
    return baseline


def _validation_ndcg(baseline: Baseline, split: Split, cases: EvalCases) -> float:
    histories = recommendation_histories(split, cases)
    top = baseline_top_k(baseline, cases, CHOICE_K, histories=histories)
    return float(ndcg_at_k(top, cases.targets, CHOICE_K).mean())
