"""The control plane, in FastAPI: health, items, metrics, documents."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, NoReturn

import numpy as np
from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.requests import Request
from starlette.responses import Response

from serving.adapters.item_routes import add_item_routes
from serving.adapters.pages import docs_page, problem_page
from serving.adapters.problems import PROBLEM_PAGES
from serving.adapters.rank_route import NO_RANKER
from serving.adapters.served import Served
from vizsla.contracts.api import (
    MAX_ID_LENGTH,
    GraphHealth,
    Health,
    ItemChanged,
    ItemPut,
    ItemResponse,
    ItemsBatch,
    ItemsBatchResponse,
    Problem,
    Readiness,
    RecommendRequest,
    RecommendResponse,
    RetrieveRequest,
    RetrieveResponse,
)
from vizsla.contracts.rank_api import RankerResponse, RankRequest, RankResponse
from vizsla.errors import NotFoundError
from vizsla.telemetry.metrics import CONTENT_TYPE

__all__ = ["control_router", "documented_router"]

ItemId = Annotated[str, Path(description="An item of the catalogue.", examples=["50"])]
PROBLEM: dict[str, Any] = {"model": Problem, "description": "A problem document (RFC 9457)."}


def control_router(served: Served) -> APIRouter:
    """Return the routes that are served by FastAPI."""
    router = APIRouter()
    _operations(router, served)
    _ranker(router, served)
    _items(router, served)
    add_item_routes(router, served)
    _documents(router)
    return router


def documented_router() -> APIRouter:
    """Return the hot routes as FastAPI would declare them, for the OpenAPI document only."""
    router = APIRouter(tags=["search"])
    refusals: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 413, 415, 422, 503), PROBLEM)

    @router.post("/v1/retrieve", summary="Top k of the catalogue", responses=refusals)
    def retrieve(body: RetrieveRequest) -> RetrieveResponse:
        """Search the whole catalogue under the deep matching function, one or many queries."""
        _documentation_only()

    @router.post("/v1/recommend", summary="A slate for one user", responses=refusals)
    def recommend(body: RecommendRequest) -> RecommendResponse:
        """Retrieve, filter and, where the bundle has a ranker, rank."""
        _documentation_only()

    @router.post(
        "/v1/rank",
        summary="Click probabilities of given items",
        responses={**refusals, 404: PROBLEM},
    )
    def rank(body: RankRequest) -> RankResponse:
        """Order items by the bundle's ranker, by expected revenue where they have a bid."""
        _documentation_only()

    _document_changes(router, {**refusals, 404: PROBLEM, 409: PROBLEM})
    return router


def _document_changes(router: APIRouter, refusals: dict[int | str, dict[str, Any]]) -> None:
    created = {**refusals, 201: {"model": ItemChanged, "description": "The item was made."}}

    @router.put(
        "/v1/items/{item_id:path}", tags=["items"], summary="Set an item", responses=created
    )
    def put(item_id: ItemId, body: ItemPut) -> ItemChanged:
        """Make, change, pause or resume an item; answered when it is durable and searched."""
        _documentation_only()

    @router.delete(
        "/v1/items/{item_id:path}", tags=["items"], summary="Remove an item", responses=refusals
    )
    def remove(item_id: ItemId) -> ItemChanged:
        """Take an item out of the catalogue and out of every answer."""
        _documentation_only()

    @router.post(
        "/v1/items:batch",
        tags=["items"],
        summary="Change many items",
        responses=refusals,
    )
    def batch(body: ItemsBatch) -> ItemsBatchResponse:
        """Take or refuse each record by itself; those taken are in the log together."""
        _documentation_only()


def _documentation_only() -> NoReturn:
    raise NotImplementedError("the hot routes are served by serving.adapters.search_routes")


def _operations(router: APIRouter, served: Served) -> None:
    @router.get("/healthz", tags=["operations"], summary="Is the process alive")
    async def healthz() -> Health:
        return Health()

    @router.get(
        "/readyz",
        tags=["operations"],
        summary="Are requests wanted",
        responses={503: {"model": Readiness, "description": "Starting or draining."}},
    )
    async def readyz() -> JSONResponse:
        ready = served.lifecycle.is_ready
        body = readiness(served).model_dump(mode="json")
        return JSONResponse(body, 200 if ready else 503)

    one_at_a_time = asyncio.Lock()

    @router.get(
        "/graphz",
        tags=["operations"],
        summary="Is the graph sound",
        responses={404: PROBLEM, 503: {"model": GraphHealth, "description": "It is damaged."}},
    )
    async def graphz() -> JSONResponse:
        """Check every neighbour row that searches of this process walk now: slow beside a search."""
        async with one_at_a_time:
            wrong = await asyncio.to_thread(served.live.problems)
        health = GraphHealth(status="damaged" if wrong else "sound", problems=wrong)
        return JSONResponse(health.model_dump(mode="json"), 503 if wrong else 200)

    @router.get("/metrics", tags=["operations"], summary="Prometheus metrics")
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(served.metrics.render(), media_type=CONTENT_TYPE)


def _ranker(router: APIRouter, served: Served) -> None:
    @router.get(
        "/v1/ranker",
        tags=["search"],
        summary="What candidates are ranked with",
        responses={404: PROBLEM},
    )
    async def ranker() -> RankerResponse:
        """Describe the bundle's ranker: its fields with their widths and why, its figures."""
        engine = served.current.engine
        if engine.ranker is None:
            raise NotFoundError(NO_RANKER)
        return engine.ranker.described(engine.info)


def _items(router: APIRouter, served: Served) -> None:
    @router.get(
        "/v1/items/{item_id:path}",
        tags=["items"],
        summary="What is known of an item",
        responses={404: PROBLEM},
    )
    async def item(item_id: ItemId) -> ItemResponse:
        catalogue = served.current.engine.catalogue
        if item_id not in catalogue.vocabulary:
            raise NotFoundError(f"no item {item_id[:MAX_ID_LENGTH]!r} in the catalogue")
        num = catalogue.vocabulary.num(item_id)
        return ItemResponse(
            item_id=item_id,
            active=catalogue.is_active(num),
            n_interactions=int(catalogue.n_interactions(np.array([num]))[0]),
            attributes=catalogue.attributes(num),
        )


def _documents(router: APIRouter) -> None:
    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(request.app.openapi())

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(request.app.openapi()))

    @router.get("/problems/{slug}", tags=["operations"], summary="What a kind of error means")
    async def problem(slug: str) -> Response:
        if slug not in PROBLEM_PAGES:
            raise NotFoundError(f"no kind of error is called {slug[:100]!r}")
        return HTMLResponse(problem_page(slug, PROBLEM_PAGES[slug]))


def readiness(served: Served) -> Readiness:
    """Say whether requests are wanted now, and with what they would be answered."""
    engine = served.current.engine
    return Readiness(
        status=served.lifecycle.phase.value,
        bundle=engine.info,
        n_items=len(engine.catalogue.vocabulary),
        n_users=len(served.histories),
        warnings=list(engine.notices),
    )
