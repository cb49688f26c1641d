"""From scored candidates to the body of ``POST /v1/rank``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serving.core.protocols import Engine
from serving.core.ranking import Ranked, best_first, unread_notices
from vizsla.contracts.api import Degradation
from vizsla.contracts.rank_api import RankedItem, RankerInfo, RankRequest, RankResponse

__all__ = ["late_response", "rank_response"]


def rank_response(
    body: RankRequest,
    engine: Engine,
    ranked: Ranked,
    values: NDArray[np.float64],
    request_id: str,
) -> RankResponse:
    """Write the answer, best first.

    Args:
        body: The request.
        engine: What answered.
        ranked: Of its items, in their order.
        values: ``(K,)`` eCPM, of items with a bid.
        request_id: To name in the answer.
    """
    worth = [
        None if one.bid is None else float(value)
        for one, value in zip(body.items, values.tolist(), strict=True)
    ]
    order = best_first(ranked.scores, worth).tolist()
    pctr = ranked.pctr.tolist()
    known = engine.catalogue.vocabulary
    items = [
        RankedItem(
            item_id=body.items[place].item_id,
            rank=rank,
            pctr=pctr[place],
            ecpm=worth[place],
            known=body.items[place].item_id in known,
        )
        for rank, place in enumerate(order, start=1)
    ]
    return RankResponse(
        request_id=request_id,
        bundle=engine.info,
        ranker=_info(engine),
        items=items,
        ranked_by="pctr" if all(value is None for value in worth) else "ecpm",
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


def _info(engine: Engine) -> RankerInfo:
    assert engine.ranker is not None
    return engine.ranker.info
