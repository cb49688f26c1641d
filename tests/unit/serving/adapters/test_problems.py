"""Errors as problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.adapters.problems import PROBLEM_PAGES, problem_of, problem_response
from vizsla.errors import FieldProblem, InvalidRequestError, NotFoundError, VizslaError

DOCS = Path(__file__).parents[4] / "docs" / "errors.md"


def tree(error: type[VizslaError]) -> Iterator[type[VizslaError]]:
    yield error
    for kind in error.__subclasses__():
        if kind.__module__ == VizslaError.__module__:
            yield from tree(kind)


def test_every_slug_has_a_page_and_every_page_a_slug() -> None:
    """Pages and the error tree agree in both directions."""
    assert {kind.slug for kind in tree(VizslaError)} == set(PROBLEM_PAGES)


@pytest.mark.parametrize("slug", sorted(PROBLEM_PAGES))
def test_every_slug_is_documented(slug: str) -> None:
    """docs/errors.md has a section per slug with its statuses and the words of its page."""
    statuses = sorted({kind.status for kind in tree(VizslaError) if kind.slug == slug})
    text = DOCS.read_text(encoding="utf-8")
    _, _, section = text.partition(f"\n## `{slug}` ({', '.join(map(str, statuses))})\n")
    page = PROBLEM_PAGES[slug]

    assert page.title in section
    assert page.meaning in section
    assert page.remedy in section


def test_fields_are_carried() -> None:
    """A request's problems become `errors` with pointer and place."""
    error = InvalidRequestError("/k: too large", (FieldProblem("/k", "too large"),))
    problem = problem_of(error, "id-1")

    assert (problem.status, problem.type, problem.instance) == (
        422,
        "/problems/invalid-request",
        "id-1",
    )
    assert [(e.location, e.pointer, e.detail) for e in problem.errors] == [
        ("body", "/k", "too large")
    ]


def test_unexpected_errors_say_nothing_of_the_inside() -> None:
    """What a bug says is for the log, not for the caller."""
    problem = problem_of(RuntimeError("password=1234"), "id-2")

    assert (problem.status, problem.type) == (500, "/problems/internal")
    assert "1234" not in problem.model_dump_json()


def test_response_is_of_the_problem_type() -> None:
    """Status, media type and further headers are set."""
    response = problem_response(NotFoundError("no"), "id-3", {"Retry-After": "2"})

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "2"
