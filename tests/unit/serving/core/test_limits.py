"""The operator's bounds below the contract's."""

from __future__ import annotations

import pytest

from serving.core.limits import Limits
from vizsla.contracts.api import RecommendRequest, RetrieveQuery, RetrieveRequest
from vizsla.errors import InvalidRequestError

LIMITS = Limits(max_k=10, max_batch=2, max_history=3)
LONG = RetrieveQuery(history=["a"] * 4)
SHORT = RetrieveQuery(user_id="u")


def test_within_bounds_passes() -> None:
    """A request at the bounds is let through."""
    LIMITS.check(RetrieveRequest(history=["a"] * 3, k=10))
    LIMITS.check(RetrieveRequest(queries=[SHORT, SHORT]))


@pytest.mark.parametrize(
    ("request_", "pointers"),
    [
        (RecommendRequest(user_id="u", k=11), ["/k"]),
        (RetrieveRequest(history=["a"] * 4, k=11), ["/k", "/history"]),
        (RetrieveRequest(queries=[SHORT, LONG, SHORT]), ["/queries", "/queries/1/history"]),
    ],
)
def test_every_field_beyond_is_named(
    request_: RetrieveRequest | RecommendRequest, pointers: list[str]
) -> None:
    """All fields that are too large are named at once."""
    with pytest.raises(InvalidRequestError) as caught:
        LIMITS.check(request_)

    assert [problem.pointer for problem in caught.value.problems] == pointers
