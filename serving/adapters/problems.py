"""Errors as the caller sees them: RFC 9457 problem documents, each with a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vizsla.contracts.api import Problem, ProblemField
from vizsla.errors import InvalidRequestError, VizslaError

__all__ = ["MEDIA_TYPE", "PROBLEM_PAGES", "ProblemPage", "problem_of", "problem_response"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """What one kind of error means and what to do about it."""

    title: str
    meaning: str
    remedy: str


PROBLEM_PAGES: Mapping[str, ProblemPage] = {
    "invalid-request": ProblemPage(
        "The request is not valid",
        "The body is not JSON (400), or a field, header or parameter of it is wrong (422), "
        "or an `event_id` was used for another change (409). `errors` names each place.",
        "Correct the named fields; /openapi.json has the schema and examples.",
    ),
    "payload-too-large": ProblemPage(
        "The body is too large",
        "The body has more bytes than this server reads.",
        "Send less at once, or raise `serving.max_body_bytes`.",
    ),
    "unsupported-media-type": ProblemPage(
        "The body's type is not supported",
        "The route reads uncompressed UTF-8 JSON.",
        "Send `Content-Type: application/json` (curl needs it said with -H).",
    ),
    "method-not-allowed": ProblemPage(
        "The route does not have this method",
        "The path exists; the header `Allow` lists its methods.",
        "Use one of the methods in `Allow`.",
    ),
    "not-found": ProblemPage(
        "There is no such thing",
        "The path, or the item it names, does not exist in the catalogue that is served.",
        "Check the identifier; an item that was removed is not there any more.",
    ),
    "overloaded": ProblemPage(
        "The server has too much to do",
        "As many requests are in flight as this process takes; this one was not started.",
        "Retry after the seconds in `Retry-After`; run more replicas if it persists.",
    ),
    "log-unavailable": ProblemPage(
        "The event log cannot be used",
        "A change counts only when the log has it on disk, and the log cannot take it now.",
        "Retry after the seconds in `Retry-After`; see that its disk has room and may be written.",
    ),
    "deadline-exceeded": ProblemPage(
        "Nothing could be computed in time",
        "The deadline passed and not even a fallback was possible.",
        "Give a larger `tmax`.",
    ),
    "model-unavailable": ProblemPage(
        "The model cannot be used",
        "A bundle or index is damaged, incomplete, or of another version.",
        "Run `vizsla bundle verify` on it; copy or export it again.",
    ),
    "not-publishable": ProblemPage(
        "The bundle did not pass its gate",
        "On validation data it was not better than the baselines it was compared with.",
        "Train better. Serving it all the same is possible, with a warning in every answer.",
    ),
    "unknown-name": ProblemPage(
        "There is no such name",
        "No model, recipe or dataset is registered under this name; the detail suggests one.",
        "Use one of the known names.",
    ),
    "invalid-data": ProblemPage(
        "A data file cannot be used",
        "The detail names the file and its line or column.",
        "Correct the file.",
    ),
    "config": ProblemPage(
        "A setting is wrong",
        "The detail names the setting and where its value came from.",
        "Correct it; `vizsla config show` lists all settings and origins.",
    ),
    "training": ProblemPage(
        "Training cannot go on",
        "It diverged; the detail names the last good checkpoint.",
        "Resume from there with a smaller learning rate.",
    ),
    "contract": ProblemPage(
        "A part broke its contract",
        "A bug in Vizsla or in a plug-in; the log has the details under the request id.",
        "Report it with the request id.",
    ),
    "internal": ProblemPage(
        "Something unexpected happened",
        "A bug; the log has the details under the request id.",
        "Report it with the request id.",
    ),
}
"""Slug to page, for every slug of ``vizsla.errors``."""


def problem_of(error: Exception, request_id: str) -> Problem:
    """Describe an error to the caller; of one that we did not raise on purpose, only its id."""
    known = error if isinstance(error, VizslaError) else None
    slug = known.slug if known else VizslaError.slug
    fields = error.problems if isinstance(error, InvalidRequestError) else ()
    return Problem(
        type=f"/problems/{slug}",
        title=PROBLEM_PAGES[slug].title,
        status=known.status if known else VizslaError.status,
        detail=str(known) if known else "see the server's log under this request id",
        instance=request_id,
        errors=[
            ProblemField(location=field.location, pointer=field.pointer, detail=field.detail)
            for field in fields
        ],
    )


def problem_response(
    error: Exception, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a problem document."""
    problem = problem_of(error, request_id)
    return ProblemResponse(problem, headers)


class ProblemResponse(Response):
    """A problem document that also leaves its slug in the request's state, for the metrics."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None) -> None:
        body = problem.model_dump_json()
        super().__init__(body, problem.status, dict(headers or {}), media_type=MEDIA_TYPE)
        self._slug = problem.type.rpartition("/")[2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope.setdefault("state", {})["problem"] = self._slug
        await super().__call__(scope, receive, send)
