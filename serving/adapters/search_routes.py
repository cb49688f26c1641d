"""The hot routes, in plain Starlette: read, parse, admit, search in the pool, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.adapters.bodies import check_json, parse_body, read_body
from serving.adapters.measured import measure
from serving.adapters.problems import problem_response
from serving.adapters.served import Current, Served, server_timing
from serving.core.deadline import TIMEOUT_HEADER
from serving.core.filters import check_filters
from serving.core.job import Ask, Job
from serving.core.pipeline import Pipeline
from serving.core.respond import recommend_response, retrieve_response
from vizsla.contracts.api import RecommendRequest, RetrieveQuery, RetrieveRequest
from vizsla.contracts.index import Mode
from vizsla.errors import MethodNotAllowedError, OverloadedError

__all__ = ["asks_of", "search_routes"]

Body = TypeVar("Body", RetrieveRequest, RecommendRequest)

ALLOWED = {"Allow": "POST, OPTIONS"}


@dataclass(frozen=True, slots=True)
class SearchRoute(Generic[Body]):
    """One hot route.

    Attributes:
        served: The process's state.
        model: What the body must be.
        pipeline: Which of the current pipelines runs.
        respond: Writes the answer.
    """

    served: Served
    model: type[Body]
    pipeline: Callable[[Current], Pipeline]
    respond: Callable[..., BaseModel]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app, which Starlette routes to with any method."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return _other_method(request)
        received_s = self.served.clock.monotonic_s()
        body = await self._parse(request)
        current = self.served.current
        check_filters(body, current.engine.attributes.kinds)
        mode = body.mode or current.engine.search.mode
        job = self._job(body, mode, request.headers.get(TIMEOUT_HEADER), received_s)
        if not self.served.admission.enter():
            return self._shed(request)
        with self._in_flight(received_s):
            return await self._search(current, job, request.state.request_id, received_s)

    async def _parse(self, request: Request) -> Body:
        headers = request.headers
        check_json(headers.get("content-type"), headers.get("content-encoding"))
        raw = await read_body(request, self.served.settings.max_body_bytes)
        body = parse_body(self.model, raw)
        self.served.limits.check(body)
        return body

    def _job(self, body: Body, mode: Mode, timeout_header: str | None, received_s: float) -> Job:
        deadlines = self.served.deadlines
        return Job(
            asks=asks_of(body),
            k=body.k or self.served.settings.default_k,
            mode=mode,
            exclude_seen=body.exclude_seen,
            deadline_s=deadlines.deadline_s(body.tmax, timeout_header, received_s),
        )

    async def _search(
        self, current: Current, job: Job, request_id: str, received_s: float
    ) -> Response:
        parsed_us = round((self.served.clock.monotonic_s() - received_s) * 1e6)
        with_request_id = copy_context().run
        done, text = await asyncio.get_running_loop().run_in_executor(
            self.served.pool, with_request_id, self._work, current, job, request_id
        )
        measure(self.served.metrics, done)
        total_us = round((self.served.clock.monotonic_s() - received_s) * 1e6)
        timing = server_timing({"parse": parsed_us, **done.parts_us, "total": total_us})
        return Response(text, 200, {"Server-Timing": timing}, "application/json")

    def _work(self, current: Current, job: Job, request_id: str) -> tuple[Job, str]:
        done = self.pipeline(current).run(job)
        started_s = self.served.clock.monotonic_s()
        text = self.respond(done, current.engine, request_id).model_dump_json()
        spent_us = round((self.served.clock.monotonic_s() - started_s) * 1e6)
        return replace(done, parts_us={**done.parts_us, "respond": spent_us}), text

    @contextmanager
    def _in_flight(self, received_s: float) -> Iterator[None]:
        try:
            with self.served.metrics.request_in_flight():
                yield
        finally:
            self.served.admission.leave(self.served.clock.monotonic_s() - received_s)

    def _shed(self, request: Request) -> Response:
        self.served.metrics.count_shed("in_flight")
        error = OverloadedError(
            f"{self.served.admission.in_flight} requests are in flight, which is all this server takes"
        )
        retry = {"Retry-After": str(self.served.admission.retry_after_s)}
        return problem_response(error, request.state.request_id, retry)


def search_routes(served: Served) -> list[Route]:
    """Return the routes of ``/v1/retrieve`` and ``/v1/recommend``."""
    retrieve = SearchRoute(served, RetrieveRequest, lambda now: now.retrieve, retrieve_response)
    recommend = SearchRoute(served, RecommendRequest, lambda now: now.recommend, recommend_response)
    return [
        Route("/v1/retrieve", retrieve, methods=None),
        Route("/v1/recommend", recommend, methods=None),
    ]


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
    )


def _other_method(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=ALLOWED)
    error = MethodNotAllowedError(f"{request.method} is not for this route; use POST")
    return problem_response(error, request.state.request_id, ALLOWED)
