"""From scored candidates to the body of ``POST /v1/rank``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving.core.protocols import Engine
from serving.core.ranking import Ranked, best_first, unread_notices
from vizsla.contracts.api import Degradation
from vizsla.contracts.rank_api import RankedItem, RankerInfo, RankRequest, RankResponse

__all__ = ["Worth", "late_response", "rank_response"]


RankedBy = Literal["ecpm", "pctr", "explored_ecpm", "explored_pctr"]


@dataclass(frozen=True, slots=True)
class Worth:
    """What candidates are worth at their bids, of those that have one.

    Attributes:
        ecpm: ``(K,)`` by the probability of a click: what prices are made from.
        ordering: ``(K,)`` by what stands in for it in the order.
    """

    ecpm: NDArray[np.float64]
    ordering: NDArray[np.float64]


def rank_response(
    body: RankRequest,
    engine: Engine,
    ranked: Ranked,
    worth: Worth,
    request_id: str,
) -> RankResponse:
    """Write the answer, best first.

    Args:
        body: The request.
        engine: What answered.
        ranked: Of its items, in their order.
        worth: Of its items, in their order.
        request_id: To name in the answer.
    """
    order = best_first(ranked.ordering, _with_bid(body, worth.ordering)).tolist()
    ecpm, pctr = _with_bid(body, worth.ecpm), ranked.pctr.tolist()
    nothing: list[float | None] = [None] * len(order)
    explored = ranked.explored
    std = nothing if explored is None else explored.std.tolist()
    chances = nothing if explored is None else explored.pctr.tolist()
    known = engine.catalogue.vocabulary
    items = [
        RankedItem(
            item_id=body.items[place].item_id,
            rank=rank,
            pctr=pctr[place],
            ecpm=ecpm[place],
            logit_std=std[place],
            explored_pctr=chances[place],
            known=body.items[place].item_id in known,
        )
        for rank, place in enumerate(order, start=1)
    ]
    return RankResponse(
        request_id=request_id,
        bundle=engine.info,
        ranker=_info(engine),
        items=items,
        ranked_by=_ranked_by(body, explored=ranked.explored is not None),
        warnings=[*engine.notices, *unread_notices(ranked)],
    )


def late_response(body: RankRequest, engine: Engine, reason: str, request_id: str) -> RankResponse:
    """Write the answer when nothing could be computed: the items as they came, and why."""
    known = engine.catalogue.vocabulary
    items = [
        RankedItem(item_id=one.item_id, rank=rank, pctr=None, ecpm=None, known=one.item_id in known)
        for rank, one in enumerate(body.items, start=1)
    ]
    return RankResponse(
        request_id=request_id,
        bundle=engine.info,
        ranker=_info(engine),
        items=items,
        ranked_by="request",
        degraded=[Degradation(stage="rank", fallback="request_order", reason=reason)],
        warnings=list(engine.notices),
    )


def _with_bid(body: RankRequest, values: NDArray[np.float64]) -> list[float | None]:
    pairs = zip(body.items, values.tolist(), strict=True)
    return [None if one.bid is None else value for one, value in pairs]


def _ranked_by(body: RankRequest, *, explored: bool) -> RankedBy:
    if any(one.bid is not None for one in body.items):
        return "explored_ecpm" if explored else "ecpm"
    return "explored_pctr" if explored else "pctr"


def _info(engine: Engine) -> RankerInfo:
    assert engine.ranker is not None
    return engine.ranker.info
