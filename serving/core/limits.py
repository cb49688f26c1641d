"""Bounds that an operator may set below those of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vizsla.contracts.api import RecommendRequest, RetrieveQuery, RetrieveRequest
from vizsla.contracts.rank_api import RankRequest
from vizsla.errors import FieldProblem, InvalidRequestError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's own bounds on requests."""

    max_k: int
    max_batch: int
    max_history: int

    def check(self, request: RetrieveRequest | RecommendRequest | RankRequest) -> None:
        """Refuse a request that asks for more than this server gives.

        Raises:
            InvalidRequestError: Names every field that is too large.
        """
        problems = tuple(self._problems(request))
        if problems:
            raise InvalidRequestError(f"{problems[0].pointer}: {problems[0].detail}", problems)

    def _problems(
        self, request: RetrieveRequest | RecommendRequest | RankRequest
    ) -> Iterator[FieldProblem]:
        if isinstance(request, RankRequest):
            if len(request.items) > self.max_k:
                yield FieldProblem("/items", f"this server ranks at most {self.max_k} items")
            yield from self._history(request, "")
            return
        if request.k is not None and request.k > self.max_k:
            yield FieldProblem("/k", f"this server answers at most {self.max_k} items")
        batch = request.queries if isinstance(request, RetrieveRequest) else None
        if batch is not None and len(batch) > self.max_batch:
            yield FieldProblem("/queries", f"this server takes at most {self.max_batch} queries")
        for row, query in enumerate(batch or ()):
            yield from self._history(query, f"/queries/{row}")
        yield from self._history(request, "")

    def _history(
        self, who: RetrieveQuery | RetrieveRequest | RecommendRequest | RankRequest, prefix: str
    ) -> Iterator[FieldProblem]:
        if who.history is not None and len(who.history) > self.max_history:
            detail = f"this server takes at most {self.max_history} items, send the newest"
            yield FieldProblem(f"{prefix}/history", detail)
