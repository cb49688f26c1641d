"""What an evaluation found, as it is written to JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.bootstrap import Interval
from training.provenance import Provenance

__all__ = ["MATCHER", "CurvePoint", "Estimate", "Evaluation", "Kind", "Row", "Work"]

MATCHER = "matcher_exhaustive"
"""The system that the others are compared with."""

Kind = Literal["matcher", "walk", "rival"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Frozen):
    """A mean over queries with its 95 % percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> Estimate:
        """Make one from an interval."""
        return cls(mean=interval.mean, low=interval.low, high=interval.high)


class Work(_Frozen):
    """What a search cost per query.

    Attributes:
        scored_ratio_mean: Deep scores over catalogue size, mean.
        scored_ratio_p95: Its 95th percentile over queries.
        rounds_mean: Rounds of the walk.
        proxy_scored_mean: Dot products with item vectors.
        ms_per_query: Wall milliseconds per query, in batches; only comparable within a run.
    """

    scored_ratio_mean: float
    scored_ratio_p95: float
    rounds_mean: float
    proxy_scored_mean: float
    ms_per_query: float


class Row(_Frozen):
    """One system on the same queries and the same candidates as the others.

    Attributes:
        system: Short name, unique within an evaluation.
        kind: ``matcher`` scores everything, ``walk`` searches under the matcher.
        settings: What was chosen on validation, or the options of the search.
        metrics: ``recall_at_20`` and the like.
        difference: Matcher minus this system, paired by query; empty for the matcher itself.
        catalogue_coverage_ratio: Share of the catalogue in at least one list.
        gini: How unequally often items are listed, 0 to 1.
        overlap_ratio: Mean share of their lists that two queries have in common.
        work: For searches under the matcher.
        coverage: ``coverage_at_50`` and the like, for walks.
        recall_delta: ``(exhaustive - walk) / exhaustive`` recall per k, for walks.
    """

    system: str
    kind: Kind
    settings: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Estimate]
    difference: dict[str, Estimate] = Field(default_factory=dict)
    catalogue_coverage_ratio: float
    gini: float
    overlap_ratio: float
    work: Work | None = None
    coverage: dict[str, Estimate] = Field(default_factory=dict)
    recall_delta: dict[str, float] = Field(default_factory=dict)


class CurvePoint(_Frozen):
    """One setting of one way to search: what it found and what it cost, means over queries.

    Attributes:
        series: ``exhaustive``, ``medoids``, ``proxy`` or ``rerank``.
        beam_width: Of a walk; for ``rerank`` the number of items scored, for ``exhaustive`` 0.
        scored_ratio: Deep scores over catalogue size.
        coverage: Against exhaustive scoring, at ``Evaluation.curve_k``.
        recall: At ``Evaluation.curve_k``.
    """

    series: str
    beam_width: int
    scored_ratio: float
    coverage: float
    recall: float


class Evaluation(_Frozen):
    """Everything that one run of ``vizsla evaluate`` found.

    Attributes:
        bundle: Content hash.
        data_hash: Content hash of the dataset.
        part: Which queries: ``test`` or ``validation``.
        n_queries: Queries evaluated.
        n_queries_total: Queries there are.
        candidates: What was ranked, in words.
        list_k: The k of the main table, catalogue coverage, Gini and overlap.
        curve_k: The k of the coverage curve.
        notes: What was left out, and why.
    """

    bundle: str
    model: str
    dataset: str
    data_hash: str
    split: dict[str, Any]
    part: str
    n_items: int
    n_queries: int
    n_queries_total: int
    candidates: str
    ks: list[int]
    list_k: int
    curve_k: int
    provenance: Provenance
    rows: list[Row]
    curve: list[CurvePoint] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    def row(self, system: str) -> Row:
        """Return one system's row.

        Raises:
            KeyError: No such row.
        """
        for row in self.rows:
            if row.system == system:
                return row
        raise KeyError(system)
