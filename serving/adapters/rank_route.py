"""``POST /v1/rank``: probabilities and values for the items that a request names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.adapters.hot_route import HotRoute
from serving.adapters.served import Served, server_timing
from serving.core.deadline import TIMEOUT_HEADER
from serving.core.protocols import Engine, Ranker, UserRow
from serving.core.rank_response import Worth, late_response, rank_response
from serving.core.ranking import Candidate, Exploration, Profile, exploration
from vizsla.contracts.api import Degradation
from vizsla.contracts.rank_api import RankRequest, RankResponse
from vizsla.errors import DeadlineError, InvalidRequestError, NotFoundError

__all__ = ["NO_RANKER", "rank_route"]

NO_RANKER = "the bundle that is served has no ranker; give it one: vizsla bundle attach-ranker"

_log = logging.getLogger("vizsla.serving")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, what answers it, and the monotonic second by which it should."""

    body: RankRequest
    engine: Engine
    ranker: Ranker
    explore: Exploration | None
    deadline_s: float


@dataclass(frozen=True, slots=True)
class RankRoute(HotRoute[RankRequest]):
    """The route; what fails on our side is answered with less and named, as in a search."""

    async def answer(self, request: Request, received_s: float) -> Response:
        """Rank and answer."""
        body = await self.parse(request)
        engine = self.served.current.engine
        if engine.ranker is None:
            raise NotFoundError(NO_RANKER)
        explore = exploration(body.explore, engine.ranker.info, request.state.request_id)
        deadline_s = self.served.deadlines.deadline_s(
            body.tmax, request.headers.get(TIMEOUT_HEADER), received_s
        )
        if not self.served.admission.enter():
            return self.shed(request)
        with self.in_flight(received_s):
            parsed_us = self.spent_us(received_s)
            asked = _Asked(body, engine, engine.ranker, explore, deadline_s)
            work = partial(self._work, asked, request.state.request_id)
            answer, text, parts_us = await self.in_pool(work)
            self._measure(answer)
            total = {"parse": parsed_us, **parts_us, "total": self.spent_us(received_s)}
            timing = {"Server-Timing": server_timing(total)}
            return Response(text, 200, timing, "application/json")

    def _work(self, asked: _Asked, request_id: str) -> tuple[RankResponse, str, dict[str, int]]:
        started_s = self.served.clock.monotonic_s()
        row, degraded = self._row(asked.body)
        parts_us = {"features": self.spent_us(started_s)}
        started_s = self.served.clock.monotonic_s()
        respond = self._ranked(asked, row)
        parts_us["rank"] = self.spent_us(started_s)
        started_s = self.served.clock.monotonic_s()
        answer = respond(request_id)
        if degraded:
            answer = answer.model_copy(update={"degraded": [*degraded, *answer.degraded]})
        text = answer.model_dump_json()
        return answer, text, {**parts_us, "respond": self.spent_us(started_s)}

    def _row(self, body: RankRequest) -> tuple[UserRow, list[Degradation]]:
        """Look the user up; what the request says wins."""
        stored, degraded = None, []
        try:
            stored = None if body.user_id is None else self.served.histories.find(body.user_id)
        except Exception as error:  # noqa: BLE001 - whatever broke, the request's own words count
            _log.error("the history store failed, its fallback answers", exc_info=error)
            reason = type(error).__name__
            degraded = [
                Degradation(stage="features", fallback="without_stored_features", reason=reason)
            ]
        row = stored or UserRow(())
        return (
            row if body.history is None else replace(row, history=tuple(body.history))
        ), degraded

    def _ranked(self, asked: _Asked, row: UserRow) -> Callable[[str], RankResponse]:
        body, engine, ranker = asked.body, asked.engine, asked.ranker
        profile = Profile(body.user_id, row.history, row.features, body.user_features, body.context)
        candidates = [Candidate(one.item_id, one.fields) for one in body.items]
        try:
            remaining_s = asked.deadline_s - self.served.clock.monotonic_s()
            ranked = ranker.rank(profile, candidates, remaining_s, asked.explore)
            bids = np.array([one.bid or 0.0 for one in body.items])
            worth = Worth(
                ranker.values(ranked.pctr, bids), ranker.values(ranked.ordering_pctr, bids)
            )
            return partial(rank_response, body, engine, ranked, worth)
        except InvalidRequestError:
            raise
        except DeadlineError:
            return partial(late_response, body, engine, "deadline")
        except Exception as error:  # noqa: BLE001 - whatever broke, the caller gets the fallback
            _log.error("the ranker failed, its fallback answers", exc_info=error)
            return partial(late_response, body, engine, type(error).__name__)

    def _measure(self, answer: RankResponse) -> None:
        metrics = self.served.metrics
        metrics.count_ranked(len(answer.items))
        for one in answer.degraded:
            metrics.count_degraded(f"{one.stage}:{one.fallback}")
        unknown = sum(not one.known for one in answer.items)
        if unknown:
            metrics.count_unknown_items(unknown)
        for notice in answer.warnings:
            if notice.code in ("unknown_fields", "dropped_fields"):
                metrics.count_ignored_fields(notice.code.split("_")[0], len(notice.names))


def rank_route(served: Served) -> Route:
    """Return the route of ``/v1/rank``."""
    return Route("/v1/rank", RankRoute(served, RankRequest), methods=None)
