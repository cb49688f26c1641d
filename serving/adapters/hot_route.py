"""What the hot routes share, in plain Starlette: read, parse, admit, work in the pool, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.adapters.bodies import check_json, parse_body, read_body
from serving.adapters.problems import problem_response
from serving.adapters.served import Served
from vizsla.contracts.api import RecommendRequest, RetrieveRequest
from vizsla.contracts.rank_api import RankRequest
from vizsla.errors import MethodNotAllowedError, OverloadedError

__all__ = ["HotRoute"]

Body = TypeVar("Body", RetrieveRequest, RecommendRequest, RankRequest)
Done = TypeVar("Done")

ALLOWED = {"Allow": "POST, OPTIONS"}


@dataclass(frozen=True, slots=True)
class HotRoute(Generic[Body]):
    """One hot route; a kind of it says in ``answer`` what is done with the body.

    Attributes:
        served: The process's state.
        model: What the body must be.
    """

    served: Served
    model: type[Body]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app, which Starlette routes to with any method."""
        request = Request(scope, receive)
        if request.method == "POST":
            response = await self.answer(request, self.served.clock.monotonic_s())
        else:
            response = _other_method(request)
        await response(scope, receive, send)

    async def answer(self, request: Request, received_s: float) -> Response:
        """Answer a POST that came at a monotonic second."""
        raise NotImplementedError

    async def parse(self, request: Request) -> Body:
        """Read the body within the server's limits."""
        headers = request.headers
        check_json(headers.get("content-type"), headers.get("content-encoding"))
        raw = await read_body(request, self.served.settings.max_body_bytes)
        body = parse_body(self.model, raw)
        self.served.limits.check(body)
        return body

    async def in_pool(self, work: Callable[[], Done]) -> Done:
        """Work beside the event loop; log lines keep the request's id."""
        with_request_id = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(
            self.served.pool, with_request_id, work
        )

    @contextmanager
    def in_flight(self, received_s: float) -> Iterator[None]:
        """Hold a place that ``admission.enter`` gave, and give it back."""
        try:
            with self.served.metrics.request_in_flight():
                yield
        finally:
            self.served.admission.leave(self.served.clock.monotonic_s() - received_s)

    def spent_us(self, started_s: float) -> int:
        """Return the microseconds since a monotonic second."""
        return round((self.served.clock.monotonic_s() - started_s) * 1e6)

    def shed(self, request: Request) -> Response:
        """Refuse a request to protect those in flight."""
        self.served.metrics.count_shed("in_flight")
        error = OverloadedError(
            f"{self.served.admission.in_flight} requests are in flight, which is all this server takes"
        )
        retry = {"Retry-After": str(self.served.admission.retry_after_s)}
        return problem_response(error, request.state.request_id, retry)


def _other_method(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=ALLOWED)
    error = MethodNotAllowedError(f"{request.method} is not for this route; use POST")
    return problem_response(error, request.state.request_id, ALLOWED)
