"""Changes of items over HTTP: checked, written to the log, visible, and only then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeVar

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from graph_index.live.items import LiveItems
from serving.adapters.bodies import MAX_PROBLEMS, check_json, parse_body, problems_of, read_body
from serving.adapters.item_changes import Accepted, Wanted
from serving.adapters.live_requests import put_change, put_is_told_by, remove_change
from serving.adapters.problems import problem_response
from serving.adapters.served import Served
from vizsla.contracts.api import (
    MAX_ID_LENGTH,
    ItemChanged,
    ItemOutcome,
    ItemPut,
    ItemRecord,
    ItemsBatch,
    ItemsBatchResponse,
    ProblemField,
)
from vizsla.contracts.events import ItemChange
from vizsla.errors import (
    FieldProblem,
    InvalidRequestError,
    LogUnavailableError,
    OverloadedError,
    PayloadTooLargeError,
    VizslaError,
)

__all__ = ["add_item_routes"]

RETRY_AFTER = {"Retry-After": "1"}
Model = TypeVar("Model", ItemPut, ItemsBatch)


def add_item_routes(router: APIRouter, served: Served) -> None:
    """Add the routes that change items; their documentation is in ``control_routes``."""

    @router.put("/v1/items/{item_id:path}", include_in_schema=False)
    async def put(item_id: str, request: Request) -> Response:
        _check_id(item_id)
        body = await _parsed(request, served, ItemPut)
        return await _answer_one(request, served, _put(served, item_id, body))

    @router.delete("/v1/items/{item_id:path}", include_in_schema=False)
    async def remove(item_id: str, request: Request) -> Response:
        _check_id(item_id)
        return await _answer_one(request, served, _remove(served, item_id, None))

    @router.post("/v1/items:batch", include_in_schema=False)
    async def batch(request: Request) -> Response:
        body = await _parsed(request, served, ItemsBatch)
        most = served.live_settings.max_items
        if len(body.items) > most:
            raise PayloadTooLargeError(f"{len(body.items)} items; at most {most} at once")
        return await _answer_batch(request, served, body)


async def _parsed(request: Request, served: Served, model: type[Model]) -> Model:
    check_json(request.headers.get("content-type"), request.headers.get("content-encoding"))
    return parse_body(model, await read_body(request, served.settings.max_body_bytes))


def _check_id(item_id: str) -> None:
    if not 1 <= len(item_id) <= MAX_ID_LENGTH:
        detail = f"must have 1 to {MAX_ID_LENGTH} characters"
        raise InvalidRequestError(f"item_id {detail}", (FieldProblem("item_id", detail, "path"),))


def _put(served: Served, item_id: str, put: ItemPut) -> Wanted:
    def resolve(items: LiveItems) -> ItemChange:
        return put_change(item_id, put, items, served.base_catalogue, served.clock.now_s())

    return Wanted(item_id, put.event_id, resolve, partial(put_is_told_by, put))


def _remove(served: Served, item_id: str, event_id: str | None) -> Wanted:
    def resolve(items: LiveItems) -> ItemChange:
        return remove_change(item_id, event_id, items, served.clock.now_s())

    return Wanted(item_id, event_id, resolve, lambda change: change.action == "remove")


async def _answer_one(request: Request, served: Served, wanted: Wanted) -> Response:
    def answer(outcomes: Sequence[Accepted | Exception]) -> Response:
        (outcome,) = outcomes
        if isinstance(outcome, Exception):
            raise outcome
        body = ItemChanged(
            item_id=outcome.change.item_id,
            status=_status(outcome),
            event_id=outcome.change.event_id,
            offset=outcome.offset,
        )
        status = 201 if body.status == "created" else 200
        return Response(body.model_dump_json(), status, media_type="application/json")

    return await _accepted(request, served, [wanted], answer)


async def _answer_batch(request: Request, served: Served, body: ItemsBatch) -> Response:
    seen: set[str] = set()
    outcomes = [_checked(served, raw, seen) for raw in body.items]
    wanted = [outcome for outcome in outcomes if not isinstance(outcome, ItemOutcome)]

    def answer(accepted: Sequence[Accepted | Exception]) -> Response:
        rest = iter(accepted)
        names = [_name(raw) for raw in body.items]
        results = [
            outcome if isinstance(outcome, ItemOutcome) else _outcome(name, next(rest))
            for name, outcome in zip(names, outcomes, strict=True)
        ]
        n_refused = sum(result.status == "refused" for result in results)
        answered = ItemsBatchResponse(
            results=results, n_taken=len(results) - n_refused, n_refused=n_refused
        )
        return Response(answered.model_dump_json(), 200, media_type="application/json")

    return await _accepted(request, served, wanted, answer)


async def _accepted(
    request: Request,
    served: Served,
    wanted: Sequence[Wanted],
    answer: Callable[[Sequence[Accepted | Exception]], Response],
) -> Response:
    """Take changes in a thread of their own, within the bound on requests in flight."""
    request_id = request.state.request_id
    if not served.admission.enter():
        served.metrics.count_shed("in_flight")
        error = OverloadedError("too many requests are in flight")
        retry = {"Retry-After": str(served.admission.retry_after_s)}
        return problem_response(error, request_id, retry)
    started_s = served.clock.monotonic_s()
    try:
        loop = asyncio.get_running_loop()
        return answer(await loop.run_in_executor(served.changes, served.live.accept, wanted))
    except LogUnavailableError as error:
        return problem_response(error, request_id, RETRY_AFTER)
    finally:
        served.admission.leave(served.clock.monotonic_s() - started_s)


def _checked(served: Served, raw: object, seen: set[str]) -> ItemOutcome | Wanted:
    """Check one record of a batch by itself."""
    try:
        record = ItemRecord.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(error)[:MAX_PROBLEMS]
        first = problems[0]
        return _refused(_name(raw), f"{first.pointer or 'the record'}: {first.detail}", problems)
    if record.item_id in seen:
        detail = "the batch has this item twice; which change comes last would be a guess"
        return _refused(record.item_id, detail, (FieldProblem("/item_id", detail),))
    seen.add(record.item_id)
    if record.action == "remove":
        return _remove(served, record.item_id, record.event_id)
    return _put(served, record.item_id, record)


def _name(raw: object) -> str | None:
    name = raw.get("item_id") if isinstance(raw, dict) else None
    return name[:MAX_ID_LENGTH] if isinstance(name, str) else None


def _outcome(item_id: str | None, outcome: Accepted | Exception) -> ItemOutcome:
    if isinstance(outcome, Accepted):
        return ItemOutcome(
            item_id=item_id,
            status=_status(outcome),
            event_id=outcome.change.event_id,
            offset=outcome.offset,
        )
    if not isinstance(outcome, VizslaError):
        raise outcome
    problems = outcome.problems if isinstance(outcome, InvalidRequestError) else ()
    return _refused(item_id, str(outcome), problems)


def _refused(item_id: str | None, detail: str, problems: Sequence[FieldProblem]) -> ItemOutcome:
    errors = [ProblemField(pointer=one.pointer, detail=one.detail) for one in problems]
    return ItemOutcome(item_id=item_id, status="refused", detail=detail, errors=errors)


def _status(accepted: Accepted) -> Literal["created", "changed", "removed"]:
    if accepted.change.action == "remove":
        return "removed"
    return "changed" if accepted.existed else "created"
