"""The routes that search: parse, admit, search in the pool, answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.adapters.hot_route import HotRoute
from serving.adapters.measured import measure
from serving.adapters.served import Current, Served, server_timing
from serving.core.deadline import TIMEOUT_HEADER
from serving.core.filters import check_filters
from serving.core.job import Ask, Job
from serving.core.pipeline import Pipeline
from serving.core.ranking import exploration
from serving.core.respond import recommend_response, retrieve_response
from vizsla.contracts.api import RecommendRequest, RetrieveQuery, RetrieveRequest
from vizsla.contracts.explore_api import Explore

__all__ = ["asks_of", "search_routes"]

Body = TypeVar("Body", RetrieveRequest, RecommendRequest)


@dataclass(frozen=True, slots=True)
class SearchRoute(HotRoute[Body]):
    """One route that searches.

    Attributes:
        pipeline: Which of the current pipelines runs.
        respond: Writes the answer.
        ranks: Whether the pipeline ends with the bundle's ranker.
    """

    pipeline: Callable[[Current], Pipeline]
    respond: Callable[..., BaseModel]
    ranks: bool = False

    async def answer(self, request: Request, received_s: float) -> Response:
        """Search and answer."""
        body = await self.parse(request)
        current = self.served.current
        check_filters(body, current.engine.attributes.kinds)
        ranker = current.engine.ranker if self.ranks else None
        explore = exploration(
            _explore_of(body),
            None if ranker is None else ranker.info,
            request.state.request_id,
        )
        if ranker is not None:
            ranker.check(asks_of(body)[0].context)
        job = self._job(body, current, request.headers.get(TIMEOUT_HEADER), received_s)
        if ranker is not None:
            n_candidates = self.served.settings.rank_candidates
            job = replace(job, n_candidates=n_candidates, explore=explore)
        if not self.served.admission.enter():
            return self.shed(request)
        with self.in_flight(received_s):
            return await self._search(current, job, request.state.request_id, received_s)

    def _job(
        self, body: Body, current: Current, timeout_header: str | None, received_s: float
    ) -> Job:
        deadlines, settings = self.served.deadlines, self.served.settings
        return Job(
            asks=asks_of(body),
            k=body.k or settings.default_k,
            mode=body.mode or current.engine.search.mode,
            exclude_seen=body.exclude_seen,
            deadline_s=deadlines.deadline_s(body.tmax, timeout_header, received_s),
        )

    async def _search(
        self, current: Current, job: Job, request_id: str, received_s: float
    ) -> Response:
        parsed_us = self.spent_us(received_s)
        done, text = await self.in_pool(partial(self._work, current, job, request_id))
        measure(self.served.metrics, done)
        parts_us = {"parse": parsed_us, **done.parts_us, "total": self.spent_us(received_s)}
        timing = {"Server-Timing": server_timing(parts_us)}
        return Response(text, 200, timing, "application/json")

    def _work(self, current: Current, job: Job, request_id: str) -> tuple[Job, str]:
        done = self.pipeline(current).run(job)
        started_s = self.served.clock.monotonic_s()
        text = self.respond(done, current.engine, request_id).model_dump_json()
        return replace(done, parts_us={**done.parts_us, "respond": self.spent_us(started_s)}), text


def search_routes(served: Served) -> list[Route]:
    """Return the routes of ``/v1/retrieve`` and ``/v1/recommend``."""
    retrieve = SearchRoute(served, RetrieveRequest, lambda now: now.retrieve, retrieve_response)
    recommend = SearchRoute(
        served, RecommendRequest, lambda now: now.recommend, recommend_response, ranks=True
    )
    return [
        Route("/v1/retrieve", retrieve, methods=None),
        Route("/v1/recommend", recommend, methods=None),
    ]


def _explore_of(body: RetrieveRequest | RecommendRequest) -> Explore | None:
    return body.explore if isinstance(body, RecommendRequest) else None


def asks_of(body: RetrieveRequest | RecommendRequest) -> tuple[Ask, ...]:
    """Return the queries of a request."""
    if isinstance(body, RetrieveRequest) and body.queries is not None:
        return tuple(_ask(query) for query in body.queries)
    return (_ask(body),)


def _ask(query: RetrieveQuery | RetrieveRequest | RecommendRequest) -> Ask:
    return Ask(
        user_id=query.user_id,
        history=None if query.history is None else tuple(query.history),
        features=query.user_features or {},
        exclude=tuple(query.exclude),
        filters=query.filters,
        context=query.context if isinstance(query, RecommendRequest) else {},
    )
