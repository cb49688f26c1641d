"""From a finished job to the body of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serving.core.job import Found, Job, Visitor
from serving.core.protocols import Engine
from vizsla.contracts.api import (
    QueryWork,
    RecommendedItem,
    RecommendResponse,
    RetrieveResponse,
    RetrieveResult,
    ScoredItem,
)
from vizsla.contracts.index import SearchWork
from vizsla.vocabulary import Vocabulary

__all__ = ["recommend_response", "retrieve_response", "shortest_floats"]

_NOT_SEARCHED = QueryWork(
    mode="none", n_scored=0, n_rounds=0, n_proxy_scored=0, stopped_by="not_run", parts_us={}
)


def retrieve_response(job: Job, engine: Engine, request_id: str) -> RetrieveResponse:
    """Write the answer of ``POST /v1/retrieve``."""
    pairs = zip(job.visitors, job.found, strict=True)
    return RetrieveResponse(
        request_id=request_id,
        bundle=engine.info,
        results=[_result(visitor, found, engine) for visitor, found in pairs],
        degraded=list(job.degraded),
        warnings=list(engine.notices),
    )


def recommend_response(job: Job, engine: Engine, request_id: str) -> RecommendResponse:
    """Write the answer of ``POST /v1/recommend``; the job has exactly one query."""
    result = _result(job.visitors[0], job.found[0], engine)
    found = job.found[0]
    beside = zip(_shown(found, found.pctr), _shown(found, found.logit_std), strict=True)
    return RecommendResponse(
        request_id=request_id,
        bundle=engine.info,
        items=[
            RecommendedItem(
                item_id=one.item_id, score=one.score, rank=one.rank, pctr=pctr, logit_std=std
            )
            for one, (pctr, std) in zip(result.items, beside, strict=True)
        ],
        work=result.work,
        ranked_by=job.ranked_by,
        cold_start=result.cold_start,
        degraded=list(job.degraded),
        warnings=[*engine.notices, *result.warnings],
    )


def shortest_floats(values: NDArray[np.float32]) -> list[float]:
    """Return doubles that print with no more digits than the float32 needs.

    Example:
        >>> float(np.float32(0.1)), shortest_floats(np.array([0.1], np.float32))
        (0.10000000149011612, [0.1])
    """
    return [float(text) for text in values.astype("U32").tolist()]


def _shown(found: Found, values: NDArray[np.float64] | None) -> Sequence[float | None]:
    if values is None:
        return [None] * len(found.item_nums)
    return shortest_floats(values.astype(np.float32))


def _result(visitor: Visitor, found: Found, engine: Engine) -> RetrieveResult:
    return RetrieveResult(
        items=_items(found, engine.catalogue.vocabulary),
        work=_work(found.work),
        cold_start=visitor.cold,
        warnings=list(visitor.warnings),
    )


def _items(found: Found, vocabulary: Vocabulary) -> list[ScoredItem]:
    ids = vocabulary.ids(found.item_nums.tolist())
    scores = shortest_floats(found.scores)
    return [
        ScoredItem(item_id=item_id, score=score, rank=rank)
        for rank, (item_id, score) in enumerate(zip(ids, scores, strict=True), start=1)
    ]


def _work(work: SearchWork | None) -> QueryWork:
    if work is None:
        return _NOT_SEARCHED
    return QueryWork(
        mode=work.mode,
        n_scored=work.n_scored,
        n_rounds=work.n_rounds,
        n_proxy_scored=work.n_proxy_scored,
        stopped_by=work.stopped_by,
        parts_us=dict(work.parts_us),
    )
