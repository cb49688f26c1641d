"""What is the same for every request: its id, its log line, its metrics, its last resort."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.adapters.problems import problem_response
from serving.adapters.request_ids import HEADER, accept_or_make
from serving.adapters.served import Served
from vizsla.errors import VizslaError
from vizsla.telemetry.logs import request_id as request_id_in_logs

__all__ = ["Envelope"]

CLIENT_GONE = 499  # never sent; nginx's number for it in logs

_access = logging.getLogger("vizsla.access")
_log = logging.getLogger("vizsla.serving")


@dataclass(slots=True)
class _Answer:
    """What went out so far."""

    send: Send
    echoed_id: str | None
    without_body: bool
    status: int = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.echoed_id is not None:
                MutableHeaders(scope=message)[HEADER] = self.echoed_id
        elif self.without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self.send(message)


class Envelope:
    """ASGI middleware around the whole app.

    A HEAD request is answered like the GET it stands for, without the body.  An error
    that nobody expected becomes a problem document with the request id, and a line
    with its traceback in the log.

    Args:
        app: The routes.
        served: The process's state.
        access_log: Whether every request leaves a line in the log.
        echoes_id: Whether answers carry ``X-Request-ID``; Ray Serve's proxy sets it itself.
    """

    def __init__(
        self, app: ASGIApp, served: Served, *, access_log: bool, echoes_id: bool = True
    ) -> None:
        self.served = served
        self._echoes_id = echoes_id
        self._app = app
        self._metrics = served.metrics
        self._clock = served.clock
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = self._clock.monotonic_s()
        method = scope["method"]
        request_id = accept_or_make(Headers(scope=scope).get(HEADER))
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id}}
        scope["method"] = "GET" if method == "HEAD" else method
        answer = _Answer(send, request_id if self._echoes_id else None, method == "HEAD")
        with request_id_in_logs(request_id):
            await self._guarded(scope, receive, answer)
            self._observe(scope, method, answer, self._clock.monotonic_s() - started_s)

    async def _guarded(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            answer.status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the last resort of every request
            if not isinstance(error, VizslaError) or error.status >= 500:
                _log.error("the request failed", exc_info=error)
            if not answer.status:
                await problem_response(error, scope["state"]["request_id"])(scope, receive, answer)

    def _observe(self, scope: Scope, method: str, answer: _Answer, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self._metrics.observe_request(route, answer.status, took_s)
        if "problem" in scope["state"]:
            self._metrics.count_error(scope["state"]["problem"])
        if self._access_log:
            what = {"route": route, "status": answer.status, "took_ms": round(took_s * 1000, 3)}
            _access.info("%s", method[:20], extra=what)
