"""The OpenAPI 3.1 document of all routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

__all__ = ["API_VERSION", "openapi_document"]

API_VERSION = "1"

DESCRIPTION = (
    "Online retrieval and recommendation: graph search of the whole catalogue under a deep "
    "matching function. Errors are RFC 9457 problem documents."
)


def openapi_document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Describe routes; FastAPI's own 422 body is left out, since problems replace it."""
    document = get_openapi(
        title="Vizsla", version=API_VERSION, description=DESCRIPTION, routes=list(routes)
    )
    for methods in document["paths"].values():
        for operation in methods.values():
            _own_validation_problem(operation["responses"])
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _own_validation_problem(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
    for status, response in responses.items():
        if status >= "400" and "application/json" in response.get("content", {}):
            response["content"] = {
                "application/problem+json": response["content"]["application/json"]
            }
