"""Do a request's filters fit the attributes of the bundle that answers it?"""

from __future__ import annotations

from collections.abc import Mapping

from vizsla.contracts.api import RecommendRequest, RetrieveRequest
from vizsla.contracts.filters import AttributeKind, filter_problems
from vizsla.errors import InvalidRequestError

__all__ = ["check_filters"]


def check_filters(
    request: RetrieveRequest | RecommendRequest, kinds: Mapping[str, AttributeKind]
) -> None:
    """Refuse filters on attributes that there are not, or that hold something else.

    Raises:
        InvalidRequestError: Names every such field.
    """
    batch = request.queries if isinstance(request, RetrieveRequest) else None
    problems = [*filter_problems(request.filters, kinds)]
    for row, query in enumerate(batch or ()):
        problems += filter_problems(query.filters, kinds, f"/queries/{row}/filters")
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InvalidRequestError(f"{first.pointer}: {first.detail}{more}", tuple(problems))
