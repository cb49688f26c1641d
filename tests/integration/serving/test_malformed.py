"""What a server has to refuse: a 4xx problem document that names the field, never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from loadtest.malformed import KINDS, Malformed, malformed_requests
from vizsla.contracts.api import Problem, RetrieveRequest
from vizsla.rng import numpy_generator

PER_KIND = 52  # of 21 kinds: more than a thousand in all


def send(client: Any, request: Malformed) -> tuple[int, str, bytes]:
    shot = request.shot
    answer = client.request(shot.method, shot.path, content=shot.body, headers=dict(shot.headers))
    return answer.status_code, answer.headers.get("content-type", ""), answer.content


@pytest.mark.parametrize("kind", KINDS)
def test_refused_with_the_field_named(client: Any, kind: str) -> None:
    """Every malformed request of a kind gets its status and names its field."""
    generator = numpy_generator(7, "malformed", kind)
    few = 6 if kind == "large body" else PER_KIND
    for _ in range(few):
        request = KINDS[kind](generator)
        status, media_type, body = send(client, request)

        assert status in request.statuses, (request.shot.body[:200], body)
        assert media_type == "application/problem+json"
        problem = Problem.model_validate_json(body)
        assert problem.status == status
        pointers = {error.pointer for error in problem.errors}
        assert request.pointer is None or request.pointer in pointers, request.shot.body[:200]
    assert client.get("/readyz").status_code == 200


def test_requests_are_reproducible() -> None:
    """Equal generators give equal malformed requests."""
    first = malformed_requests(60, numpy_generator(1, "x"))
    second = malformed_requests(60, numpy_generator(1, "x"))

    assert first == second
    assert {request.kind for request in first} == set(KINDS)


fields = ["user_id", "history", "k", "mode", "exclude", "exclude_seen", "tmax", "user_features",
          "queries", "zzz"]  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(fields), values, max_size=5)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=bodies | values, path=st.sampled_from(["/v1/retrieve", "/v1/recommend"]))
def test_any_json_is_answered_or_refused(client: Any, body: object, path: str) -> None:
    """Whatever JSON comes, the answer is a 200 or a problem that names a field."""
    answer = client.post(
        path, content=json.dumps(body), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in (200, 400, 422)
    if answer.status_code != 200:
        assert Problem.model_validate_json(answer.content).errors


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=60))
def test_only_bytes_that_are_a_request_are_answered(client: Any, raw: bytes) -> None:
    """What the contract cannot read gets a problem document, and only that."""
    answer = client.post("/v1/retrieve", content=raw, headers={"Content-Type": "application/json"})

    if answer.status_code == 200:
        RetrieveRequest.model_validate_json(raw)
    else:
        assert answer.status_code in (400, 422)
        assert Problem.model_validate_json(answer.content).errors
