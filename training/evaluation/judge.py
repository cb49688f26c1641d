"""From lists to figures: metrics, intervals, and each system against the matcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import mean_intervals, paired_differences
from training.data import EvalCases
from training.evaluation.results import Estimate, Row
from training.evaluation.systems import EvaluateSettings, System
from training.metrics import (
    catalogue_coverage_ratio,
    coverage_at_k,
    evaluate_ranking,
    gini,
    overlap_ratio,
)

__all__ = ["judge"]

Floats = NDArray[np.float64]


def judge(
    systems: Sequence[System], cases: EvalCases, n_items: int, settings: EvaluateSettings
) -> list[Row]:
    """Compare all systems with the first, which is the exhaustive matcher."""
    metrics = [evaluate_ranking(s.top_items, cases.targets, settings.ks) for s in systems]
    return [
        _row(system, own, systems[0], metrics[0], n_items, settings)
        for system, own in zip(systems, metrics, strict=True)
    ]


def _row(
    system: System,
    own: Mapping[str, Floats],
    matcher: System,
    best: Mapping[str, Floats],
    n_items: int,
    settings: EvaluateSettings,
) -> Row:
    listed, seed = system.top_items[:, : settings.list_k], settings.seed
    is_walk = system.kind == "walk"
    return Row(
        system=system.name,
        kind=system.kind,
        settings=system.settings,
        metrics=_estimates(own, seed),
        difference={} if system is matcher else _differences(best, own, seed),
        catalogue_coverage_ratio=catalogue_coverage_ratio(listed, n_items),
        gini=gini(listed, n_items),
        overlap_ratio=overlap_ratio(listed, n_items),
        work=system.work,
        coverage=_coverage(system, matcher, settings) if is_walk else {},
        recall_delta=_recall_delta(best, own, settings.ks) if is_walk else {},
    )


def _estimates(values: Mapping[str, Floats], seed: int) -> dict[str, Estimate]:
    intervals = mean_intervals(values, seed=seed)
    return {name: Estimate.of(interval) for name, interval in intervals.items()}


def _differences(
    ours: Mapping[str, Floats], theirs: Mapping[str, Floats], seed: int
) -> dict[str, Estimate]:
    intervals = paired_differences(ours, theirs, seed=seed)
    return {name: Estimate.of(interval) for name, interval in intervals.items()}


def _coverage(system: System, matcher: System, settings: EvaluateSettings) -> dict[str, Estimate]:
    values = {
        f"coverage_at_{k}": coverage_at_k(system.top_items[:, :k], matcher.top_items[:, :k])
        for k in settings.ks
    }
    return _estimates(values, settings.seed)


def _recall_delta(
    best: Mapping[str, Floats], own: Mapping[str, Floats], ks: tuple[int, ...]
) -> dict[str, float]:
    """``(recall-all - recall-retrieval) / recall-all`` (Chen et al., CIKM 2022, 5.1.2)."""
    names = [f"recall_at_{k}" for k in ks]
    means = {name: (float(best[name].mean()), float(own[name].mean())) for name in names}
    return {name: (a - r) / a if a > 0 else 0.0 for name, (a, r) in means.items()}
