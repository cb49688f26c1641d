"""What holds for every request, whatever the app inside does."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from serving.adapters.envelope import Envelope
from serving.adapters.served import Served
from serving.app import build_served
from vizsla.clock import FakeClock
from vizsla.config import Settings
from vizsla.contracts.api import Problem
from vizsla.errors import NotFoundError
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.scorers import DotScorer


@pytest.fixture
def served(tmp_path: Path) -> Served:
    bundle = tiny_bundle(tmp_path)
    scorer = DotScorer(bundle.item_vectors())
    return build_served(Settings(), bundle.path, load_scorer=lambda _: scorer, clock=FakeClock())


def ask(app: Any, served: Served, method: str = "GET", **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/", "headers": raw}
    asyncio.run(Envelope(app, served, access_log=True)(scope, receive, send))
    return sent


def raising(error: Exception) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return app


def test_id_of_the_caller_is_echoed(served: Served) -> None:
    """The answer carries the caller's request id."""
    start, _ = ask(PlainTextResponse("hi"), served, x_request_id="abc")

    assert (b"x-request-id", b"abc") in start["headers"]


def test_head_has_no_body(served: Served) -> None:
    """The app sees GET, the caller gets the headers only."""
    start, body = ask(PlainTextResponse("hi"), served, "HEAD")

    assert (b"content-length", b"2") in start["headers"]
    assert body["body"] == b""


def test_unexpected_error_is_a_problem_and_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug becomes a 500 document with the request id; its traceback is in the log."""
    start, body = ask(raising(RuntimeError("boom")), served, x_request_id="abc")

    assert start["status"] == 500
    assert Problem.model_validate_json(body["body"]).instance == "abc"
    assert "boom" in caplog.text
    assert b'vizsla_errors_total{problem="internal"} 1.0' in served.metrics.render()


def test_expected_error_is_not_logged_as_one(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller's own mistake is answered and leaves no traceback."""
    start, _ = ask(raising(NotFoundError("no")), served)

    assert start["status"] == 404
    assert caplog.text == ""


def test_caller_who_left_gets_nothing(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that broke while sending is counted, not answered, and no error."""
    assert ask(raising(ClientDisconnect()), served) == []
    assert b'status="499"' in served.metrics.render()
    assert caplog.text == ""


def test_every_request_leaves_a_line(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The access log has route, status and time."""
    with caplog.at_level(logging.INFO, "vizsla.access"):
        ask(PlainTextResponse("hi"), served)

    (line,) = caplog.records
    assert (line.getMessage(), line.status, line.route) == ("GET", 200, "unmatched")  # type: ignore[attr-defined]
