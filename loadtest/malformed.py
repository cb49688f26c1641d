"""Requests that a server has to refuse, each with the status and the field it must name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loadtest.closed_loop import Shot

__all__ = ["KINDS", "Malformed", "malformed_requests"]

JSON = {"Content-Type": "application/json"}
RETRIEVE = "/v1/retrieve"
RECOMMEND = "/v1/recommend"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request to refuse.

    Attributes:
        kind: What is wrong with it.
        shot: The request.
        statuses: Acceptable statuses.
        pointer: The field that ``errors`` must name; None where no field is at fault.
    """

    kind: str
    shot: Shot
    statuses: tuple[int, ...]
    pointer: str | None


def malformed_requests(n_requests: int, generator: np.random.Generator) -> list[Malformed]:
    """Make requests of all kinds in turn, details drawn from ``generator``.

    Args:
        n_requests: How many.
        generator: Equal generators give equal requests.
    """
    kinds = list(KINDS.items())
    rows = (kinds[row % len(kinds)] for row in range(n_requests))
    return [_named(name, make(generator)) for name, make in rows]


def _named(kind: str, made: Malformed) -> Malformed:
    return Malformed(kind, made.shot, made.statuses, made.pointer)


def _refused(
    body: object, pointer: str | None, path: str = RETRIEVE, statuses: tuple[int, ...] = (422,)
) -> Malformed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Malformed("", Shot(path, raw), statuses, pointer)


def _pick(generator: np.random.Generator, *choices: object) -> object:
    return choices[int(generator.integers(len(choices)))]


def _path(generator: np.random.Generator) -> str:
    return str(_pick(generator, RETRIEVE, RECOMMEND))


def _wrong_type(generator: np.random.Generator) -> Malformed:
    field, values = WRONG_TYPES[int(generator.integers(len(WRONG_TYPES)))]
    wrong = values[int(generator.integers(len(values)))]
    body: dict[str, object] = {} if field == "history" else {"user_id": "1"}
    return _refused({**body, field: wrong}, f"/{field}", _path(generator))


WRONG_TYPES: list[tuple[str, list[object]]] = [
    ("user_id", [1, 1.5, True, [], {}, "", "x" * 257]),
    ("history", ["1", 7, {}, True, 0.5]),
    ("k", ["10", 1.5, True, [], {}, 10.0]),
    ("mode", [1, "fast", "WALK", [], "", False]),
    ("exclude", ["1", 3, {}, None]),
    ("exclude_seen", ["yes", 1, 0, None, []]),
    ("tmax", ["50", 1.5, True, 0, -1, 60_001, 10**18]),
    ("user_features", ["sex", 1, [], True]),
]


def _huge_k(generator: np.random.Generator) -> Malformed:
    k = _pick(generator, 1001, 10**6, 2**31, 2**63, 2**64, 10**30, 0, -1, -(2**63))
    return _refused({"user_id": "1", "k": k}, "/k", _path(generator))


def _not_finite(generator: np.random.Generator) -> Malformed:
    field = str(_pick(generator, "k", "tmax"))
    number = str(_pick(generator, "NaN", "Infinity", "-Infinity", "1e400", "-1e999"))
    raw = f'{{"user_id": "1", "{field}": {number}}}'.encode()
    return _refused(raw, f"/{field}", _path(generator))


def _enormous_number(generator: np.random.Generator) -> Malformed:
    raw = b'{"user_id": "1", "k": ' + b"9" * int(generator.integers(5_000, 9_000)) + b"}"
    return _refused(raw, "", _path(generator), (400,))


def _empty_history(generator: np.random.Generator) -> Malformed:
    return _refused({"history": [], "k": int(generator.integers(1, 9))}, "/history")


def _long_history(generator: np.random.Generator) -> Malformed:
    return _refused({"history": ["1"] * int(generator.integers(1001, 1200))}, "/history")


def _wrong_item(generator: np.random.Generator) -> Malformed:
    row = int(generator.integers(5))
    history: list[object] = ["1"] * 5
    history[row] = _pick(generator, 1, None, [], {}, "", "x" * 300, 1.5, True)
    return _refused({"history": history}, f"/history/{row}", _path(generator))


def _unknown_field(generator: np.random.Generator) -> Malformed:
    name = str(_pick(generator, "K", "user", "limit", "filters", "a/b", "~", "__proto__", "é"))
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return _refused({"user_id": "1", name: 1}, pointer, _path(generator))


def _broken_json(generator: np.random.Generator) -> Malformed:
    whole = b'{"user_id": "1", "history": null, "k": 10}'
    cut = whole[: int(generator.integers(0, len(whole)))]
    fixed = [b"{'user_id': '1'}", b'{"user_id": "1",}', b'{"k": 010}', b"\xff\xfe{}", b" ",
             b'{"user_id": "\xc3\x28"}', b'{"user_id": "\\ud800"}', b"\xef\xbb\xbf{}", b"{}{}",
             b'{"user_id": "1"} // why', b'{"user_id": "a\nb"}', b"<xml/>"]  # fmt: skip
    raw = _pick(generator, cut, fixed[int(generator.integers(len(fixed)))])
    return _refused(raw, "", _path(generator), (400,))


def _deep(generator: np.random.Generator) -> Malformed:
    depth = int(generator.integers(300, 50_000))
    opening = bytes(str(_pick(generator, "[", '{"user_id":')), "ascii")
    return _refused(opening * depth, "", _path(generator), (400,))


def _not_an_object(generator: np.random.Generator) -> Malformed:
    return _refused(_pick(generator, [], None, 1, "text", True, [{"user_id": "1"}]), "")


def _twice(generator: np.random.Generator) -> Malformed:
    raw = b'{"user_id": "1", "k": 1, "k": %d}' % int(generator.integers(1, 9))
    return _refused(raw, "/k", _path(generator), (400,))


def _nobody(generator: np.random.Generator) -> Malformed:
    return _refused(_pick(generator, {}, {"k": 3}, {"user_id": None}), "/user_id", _path(generator))


def _too_many_ways(generator: np.random.Generator) -> Malformed:
    body = {"user_id": "1", "history": ["1"], "k": int(generator.integers(1, 9))}
    return _refused(body, "/history", _path(generator))


def _wrong_batch(generator: np.random.Generator) -> Malformed:
    good = {"user_id": "1"}
    bodies: list[tuple[object, str]] = [
        ({"queries": []}, "/queries"),
        ({"queries": [good] * 65}, "/queries"),
        ({"queries": [good, {}]}, "/queries/1/user_id"),
        ({"queries": [good, {"user_id": "1", "k": 3}]}, "/queries/1/k"),
        ({"queries": [{"history": ["1", 2]}]}, "/queries/0/history/1"),
        ({"queries": [good], "user_id": "1"}, "/user_id"),
        ({"queries": [good], "exclude": ["1"]}, "/exclude"),
        ({"queries": {"0": good}}, "/queries"),
    ]
    body, pointer = bodies[int(generator.integers(len(bodies)))]
    return _refused(body, pointer)


def _wrong_features(generator: np.random.Generator) -> Malformed:
    value = _pick(generator, 1, None, [], True, "x" * 300)
    return _refused({"user_id": "1", "user_features": {"sex": value}}, "/user_features/sex")


def _large_body(generator: np.random.Generator) -> Malformed:
    body = b'{"user_id": "' + b"x" * int(generator.integers(2 << 20, 10 << 20)) + b'"}'
    return _refused(body, None, _path(generator), (413,))


def _media_type(generator: np.random.Generator) -> Malformed:
    headers = [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": ";;;"},
    ]
    chosen = headers[int(generator.integers(len(headers)))]
    shot = Shot(_path(generator), b'{"user_id": "1"}', headers=chosen)
    return Malformed("", shot, (415,), None)


def _wrong_header(generator: np.random.Generator) -> Malformed:
    value = str(_pick(generator, "soon", "-1", "0", "1.5", "1e3", "9" * 40, "50ms", ""))
    headers = {**JSON, "X-Request-Timeout-Ms": value}
    shot = Shot(_path(generator), b'{"user_id": "1"}', headers=headers)
    return Malformed("", shot, (422,), "X-Request-Timeout-Ms")


def _no_route(generator: np.random.Generator) -> Malformed:
    path = str(_pick(generator, "/v1/retrieve/", "/v2/retrieve", "/", "/v1/items/", "/%00", "/v1"))
    return Malformed("", Shot(path, b"{}"), (404, 405), None)


def _no_method(generator: np.random.Generator) -> Malformed:
    method = str(_pick(generator, "GET", "PUT", "DELETE", "PATCH"))
    return Malformed("", Shot(_path(generator), b"", method=method), (405,), None)


KINDS: dict[str, Callable[[np.random.Generator], Malformed]] = {
    "wrong type": _wrong_type,
    "huge k": _huge_k,
    "not finite": _not_finite,
    "enormous number": _enormous_number,
    "empty history": _empty_history,
    "long history": _long_history,
    "wrong item": _wrong_item,
    "unknown field": _unknown_field,
    "broken JSON": _broken_json,
    "deep nesting": _deep,
    "not an object": _not_an_object,
    "same name twice": _twice,
    "nobody asked for": _nobody,
    "two ways at once": _too_many_ways,
    "wrong batch": _wrong_batch,
    "wrong features": _wrong_features,
    "large body": _large_body,
    "media type": _media_type,
    "wrong header": _wrong_header,
    "no such route": _no_route,
    "no such method": _no_method,
}
"""Kind to what makes one; every kind is drawn equally often."""
