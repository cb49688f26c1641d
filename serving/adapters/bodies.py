"""Request bodies: read with a limit, parsed strictly, every wrong field named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from vizsla.errors import (
    FieldProblem,
    InvalidRequestError,
    MalformedBodyError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

__all__ = [
    "MAX_PROBLEMS",
    "check_json",
    "parse_body",
    "pointer",
    "problems_of",
    "read_body",
]

MAX_PROBLEMS = 20
DISCARDED_AT_MOST = 32 << 20

Model = TypeVar("Model", bound=BaseModel)


def check_json(content_type: str | None, content_encoding: str | None) -> None:
    """Refuse a body that does not say it is plain JSON; saying nothing is allowed.

    Raises:
        UnsupportedMediaTypeError: Another type, character set or encoding.
    """
    kind, _, parameters = (content_type or "application/json").partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaTypeError(
            f"Content-Type is {kind[:100]!r}; send 'Content-Type: application/json'"
        )
    charset = parameters.strip().lower().replace('"', "")
    if charset.startswith("charset=") and charset not in ("charset=utf-8", "charset=utf8"):
        raise UnsupportedMediaTypeError(f"JSON is UTF-8 here, not {charset[8:100]!r}")
    if (content_encoding or "identity").strip().lower() != "identity":
        raise UnsupportedMediaTypeError("a compressed body is not read; send it as it is")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read a body of at most ``max_bytes``, never holding more than that in memory.

    The rest of a body that is too large is read and dropped, within reason, because a
    client that is still sending would not see an answer.

    Raises:
        PayloadTooLargeError: It is larger.
    """
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= max_bytes:
            pieces.append(piece)
        else:
            pieces.clear()
        if size > DISCARDED_AT_MOST:
            break
    if size > max_bytes:
        raise PayloadTooLargeError(
            f"the body is larger than {max_bytes} bytes, which is all this server reads"
        )
    return b"".join(pieces)


def parse_body(model: type[Model], raw: bytes) -> Model:
    """Parse and check a JSON body.

    Raises:
        MalformedBodyError: Not JSON, or the same name twice in an object.
        InvalidRequestError: JSON, but not what the route takes; names every wrong field.
    """
    try:
        parsed = model.model_validate_json(raw)
    except ValidationError as error:
        _refuse(error)
    _refuse_duplicates(raw)
    return parsed


def pointer(place: tuple[int | str, ...]) -> str:
    """Return a JSON pointer (RFC 6901).

    Example:
        >>> pointer(("queries", 0, "a/b"))
        '/queries/0/a~1b'
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')[:300]}" for part in place)


def problems_of(error: ValidationError) -> tuple[FieldProblem, ...]:
    """Return every wrong field that Pydantic names."""
    return tuple(_problems(error.errors(include_url=False, include_input=False)))


def _refuse(error: ValidationError) -> NoReturn:
    details = error.errors(include_url=False, include_input=False)
    problems = problems_of(error)[:MAX_PROBLEMS]
    first = problems[0]
    if details[0]["type"] == "json_invalid":
        raise MalformedBodyError(first.detail, problems) from None
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    where = first.pointer or "the body"
    raise InvalidRequestError(f"{where}: {first.detail}{more}", problems) from None


def _problems(details: list[ErrorDetails]) -> Iterator[FieldProblem]:
    for detail in details:
        together = detail.get("ctx", {}).get("fields")
        for name in together if isinstance(together, list) else [None]:
            place = detail["loc"] if name is None else (*detail["loc"], name)
            yield FieldProblem(pointer(place), _said(detail))


def _said(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "no such field"
        case "model_type" | "dict_type":
            return "a JSON object is needed"
        case "missing":
            return "this field is needed"
        case _:
            said = detail["msg"].replace("Input should be", "must be", 1)
            return said.replace(" after validation", "", 1)


class _Twice(NamedTuple):
    key: str


def _refuse_duplicates(raw: bytes) -> None:
    """Which of two equal names counts is undefined (RFC 8259, 4), so neither does."""
    found = next(_find_twice(json.loads(raw, object_pairs_hook=_object), ()), None)
    if found is not None:
        detail = "this name occurs twice in its object"
        problem = FieldProblem(pointer(found), detail)
        raise MalformedBodyError(f"{problem.pointer}: {detail}", (problem,))


def _object(pairs: list[tuple[str, object]]) -> object:
    values: dict[str, object] = {}
    for key, value in pairs:
        if key in values:
            return _Twice(key)
        values[key] = value
    return values


def _find_twice(value: object, place: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    match value:
        case _Twice(key):
            yield (*place, key)
        case dict():
            for key, inner in value.items():
                yield from _find_twice(inner, (*place, key))
        case list():
            for row, inner in enumerate(value):
                yield from _find_twice(inner, (*place, row))
