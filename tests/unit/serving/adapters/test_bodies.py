"""Reading and parsing request bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from serving.adapters.bodies import (
    DISCARDED_AT_MOST,
    MAX_PROBLEMS,
    check_json,
    parse_body,
    pointer,
    read_body,
)
from vizsla.contracts.api import RecommendRequest, RetrieveRequest
from vizsla.errors import (
    InvalidRequestError,
    MalformedBodyError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)


class Upload:
    """A request body that counts how much of it was taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.n_taken = 0

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.n_taken += 1
            yield piece


def read(upload: Any, max_bytes: int) -> bytes:
    return asyncio.run(read_body(upload, max_bytes))


def test_body_within_the_limit_is_joined() -> None:
    """Pieces are put together, up to and including the limit."""
    assert read(Upload(b"ab", b"", b"cd"), 4) == b"abcd"


def test_body_over_the_limit_is_read_to_its_end_and_refused() -> None:
    """The client can finish sending, so that it sees the answer."""
    upload = Upload(b"abc", b"def", b"ghi")

    with pytest.raises(PayloadTooLargeError, match="larger than 4 bytes"):
        read(upload, 4)
    assert upload.n_taken == 3


def test_endless_body_is_not_read_to_its_end() -> None:
    """Beyond a bound the server stops taking bytes."""
    upload = Upload(*[bytes(1 << 20)] * 100)

    with pytest.raises(PayloadTooLargeError):
        read(upload, 4)
    assert upload.n_taken == (DISCARDED_AT_MOST >> 20) + 1


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "Application/JSON; charset=UTF-8", "application/vnd.x+json"],
)
def test_json_is_read(content_type: str | None) -> None:
    """JSON, said or not said, passes."""
    check_json(content_type, None)


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/plain", None),
        ("application/x-www-form-urlencoded", None),
        ("application/json; charset=utf-16", None),
        ("application/json", "gzip"),
    ],
)
def test_other_types_are_refused(content_type: str, encoding: str | None) -> None:
    """What is not plain UTF-8 JSON is refused."""
    with pytest.raises(UnsupportedMediaTypeError):
        check_json(content_type, encoding)


def test_every_wrong_field_is_named() -> None:
    """All problems come at once, each with its pointer."""
    raw = json.dumps({"user_id": 1, "k": 0, "zz": 1}).encode()
    with pytest.raises(InvalidRequestError) as caught:
        parse_body(RetrieveRequest, raw)

    assert [problem.pointer for problem in caught.value.problems] == ["/user_id", "/k", "/zz"]
    assert str(caught.value) == "/user_id: must be a valid string (and 2 more)"


def test_number_of_problems_is_bounded() -> None:
    """A hostile body cannot make an answer of any length."""
    raw = json.dumps({"history": [1] * 900}).encode()
    with pytest.raises(InvalidRequestError) as caught:
        parse_body(RetrieveRequest, raw)

    assert len(caught.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b'{"user_id": "a", "user_id": "b"}', "/user_id"),
        (
            b'{"queries": [{"user_id": "a"}, {"user_id": "a", "user_id": "a"}]}',
            "/queries/1/user_id",
        ),
        (b'{"user_id": "a", "user_features": {"x/y": "1", "x/y": "1"}}', "/user_features/x~1y"),
    ],
)
def test_same_name_twice_is_refused(raw: bytes, where: str) -> None:
    """Two values of one name are refused, with the place of the name."""
    with pytest.raises(MalformedBodyError) as caught:
        parse_body(RetrieveRequest, raw)

    assert caught.value.problems[0].pointer == where


def test_not_json_says_where() -> None:
    """Broken JSON is refused with line and column."""
    with pytest.raises(MalformedBodyError, match="line 1 column 2"):
        parse_body(RecommendRequest, b"{,}")


@given(st.lists(st.text() | st.integers(0, 9), max_size=4))
def test_pointer_leads_back(place: list[int | str]) -> None:
    """A pointer taken apart as RFC 6901 says gives the place again."""
    parts = pointer(tuple(place)).split("/")[1:]

    assert [part.replace("~1", "/").replace("~0", "~") for part in parts] == list(map(str, place))
