"""The OpenAPI document: a snapshot, and examples that the server accepts.

After a deliberate change of the API, write the snapshot again with
``python tests/golden/write_openapi.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[2] / "golden" / "openapi.json"


def test_document_is_the_committed_one(client: Any) -> None:
    """The served document equals the snapshot, so a change of the API is seen in review."""
    document = client.get("/openapi.json").json()
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    assert text == GOLDEN.read_text(encoding="utf-8")


def test_document_has_every_public_route(client: Any) -> None:
    """Every route that is answered is described."""
    assert set(client.get("/openapi.json").json()["paths"]) == {
        "/v1/retrieve",
        "/v1/recommend",
        "/v1/rank",
        "/v1/ranker",
        "/v1/items/{item_id}",
        "/v1/items:batch",
        "/healthz",
        "/readyz",
        "/graphz",
        "/metrics",
        "/problems/{slug}",
    }


@pytest.mark.parametrize("name", ["retrieve", "recommend"])
def test_examples_are_accepted(client: Any, name: str) -> None:
    """The server answers every example request of its own document."""
    document = client.get("/openapi.json").json()
    examples = document["components"]["schemas"][f"{name.title()}Request"]["examples"]

    assert examples
    for example in examples:
        assert client.post(f"/v1/{name}", json=example).status_code == 200


def test_errors_are_problem_documents(client: Any) -> None:
    """Every documented refusal is of type application/problem+json."""
    paths = client.get("/openapi.json").json()["paths"]
    refusals = paths["/v1/retrieve"]["post"]["responses"]

    assert {"400", "413", "415", "422", "503"} <= set(refusals)
    for status, response in refusals.items():
        expected = "application/json" if status == "200" else "application/problem+json"
        assert list(response["content"]) == [expected]
