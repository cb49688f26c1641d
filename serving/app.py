"""The one place that wires: settings and a bundle become an ASGI app.

The same app runs under uvicorn (``--embedded``), inside a Ray Serve replica, and in
tests without any server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from feature_store.ingest.logs.sqlite import SqliteEventLog
from serving.adapters.bundle_store import ScorerLoader, deep_scorer_loader, open_engine
from serving.adapters.control_routes import control_router, documented_router
from serving.adapters.envelope import Envelope
from serving.adapters.follower import follower
from serving.adapters.item_log import default_log_file
from serving.adapters.openapi import openapi_document
from serving.adapters.problems import problem_response
from serving.adapters.rank_route import rank_route
from serving.adapters.search_routes import search_routes
from serving.adapters.served import Current, Served
from serving.adapters.shards import Connect, embedded_shards
from serving.adapters.user_histories import default_users_file, open_histories
from serving.core.lifecycle import Phase
from vizsla.bundles import locate
from vizsla.clock import Clock, SystemClock
from vizsla.config import Settings
from vizsla.errors import (
    FieldProblem,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    VizslaError,
)

__all__ = ["api_document", "build_app", "build_served", "wrap"]


def build_app(
    settings: Settings,
    bundle_path: Path,
    users_file: Path | None = None,
    *,
    load_scorer: ScorerLoader | None = None,
    clock: Clock | None = None,
    connect: Connect | None = None,
    echoes_id: bool = True,
) -> Envelope:
    """Load everything and return the ASGI app; it is ready once its lifespan has started.

    Args:
        settings: All settings.
        bundle_path: A bundle directory, or a run directory of ``vizsla train``.
        users_file: Histories of known users; None takes ``users.parquet`` of the run
            directory that the bundle lies in, if there is one.
        load_scorer: Builds the bundle's scorer; None takes the registered model it names.
        clock: For tests; None takes the machine's.
        connect: Reaches the shards of a sharded bundle; None opens them in this process.
        echoes_id: See ``Envelope``.

    Raises:
        VizslaError: The bundle or the users file cannot be used; one line says why.
    """
    served = build_served(
        settings, bundle_path, users_file, load_scorer=load_scorer, clock=clock, connect=connect
    )
    return wrap(served, access_log=settings.telemetry.access_log, echoes_id=echoes_id)


def wrap(served: Served, *, access_log: bool = False, echoes_id: bool = True) -> Envelope:
    """Put the routes around a process's state."""

    @asynccontextmanager
    async def lifespan(_: ASGIApp) -> AsyncIterator[None]:
        async with _lifespan(served):
            yield

    routes = [*search_routes(served), rank_route(served), Mount("/", _control_plane(served))]
    router = Router(routes, redirect_slashes=False, lifespan=lifespan)
    return Envelope(router, served, access_log=access_log, echoes_id=echoes_id)


def build_served(
    settings: Settings,
    bundle_path: Path,
    users_file: Path | None = None,
    *,
    load_scorer: ScorerLoader | None = None,
    clock: Clock | None = None,
    connect: Connect | None = None,
) -> Served:
    """Load the bundle and the users; see ``build_app``."""
    folder = locate(bundle_path)
    clock = clock or SystemClock()
    n_scorer_threads = settings.serving.scorer_threads
    loader = load_scorer or deep_scorer_loader(n_scorer_threads)
    connect = connect or partial(embedded_shards, threads=n_scorer_threads)
    engine = open_engine(folder, settings.search, loader, connect, device=settings.serving.device)
    histories = open_histories(users_file or default_users_file(folder))
    threads = settings.serving.search_threads
    served = Served(
        settings=settings.serving,
        current=Current.of(engine, histories, clock),
        histories=histories,
        clock=clock,
        pool=ThreadPoolExecutor(threads, thread_name_prefix="search"),
        live_settings=settings.live,
    )
    served.open_live(settings.live.log or default_log_file(folder), SqliteEventLog)
    return served


def _control_plane(served: Served) -> FastAPI:
    control = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    control.include_router(control_router(served))
    document = api_document(served)
    control.openapi = lambda: document  # type: ignore[method-assign]
    control.add_exception_handler(VizslaError, _problem)
    control.add_exception_handler(HTTPException, _http_problem)
    control.add_exception_handler(RequestValidationError, _invalid)
    return control


def api_document(served: Served) -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    return openapi_document([*documented_router().routes, *control_router(served).routes])


@asynccontextmanager
async def _lifespan(served: Served) -> AsyncIterator[None]:
    served.metrics.show_bundle(served.current.engine.manifest)
    served.lifecycle.enter(Phase.READY)
    try:
        with follower(served.live.tend, served.live_settings.poll_ms / 1000):
            yield
    finally:
        served.lifecycle.drain()
        served.changes.shutdown(wait=True)
        served.pool.shutdown(wait=True)
        served.live.close()
        served.lifecycle.enter(Phase.STOPPED)


async def _problem(request: Request, error: Exception) -> Response:
    return problem_response(error, request.state.request_id)


async def _http_problem(request: Request, error: Exception) -> Response:
    """Turn the framework's 404 and 405 into problem documents."""
    headers = dict(getattr(error, "headers", None) or {})
    if getattr(error, "status_code", 404) != 405:
        missing = NotFoundError(f"no route {request.method} {request.url.path[:200]!r}")
        return problem_response(missing, request.state.request_id)
    headers["Allow"] = "GET, HEAD, OPTIONS"
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    refused = MethodNotAllowedError(f"{request.method} is not for this route; use GET")
    return problem_response(refused, request.state.request_id, headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Turn FastAPI's refusal of a path or query parameter into a problem document."""
    details = error.errors() if isinstance(error, RequestValidationError) else []
    problems = tuple(
        FieldProblem(str(detail["loc"][-1]), detail["msg"], detail["loc"][0]) for detail in details
    )
    return await _problem(request, InvalidRequestError("a parameter is wrong", problems))
