"""From ids to numbers: the user's history and side features."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from serving.core.job import Ask, Job, Visitor
from serving.core.protocols import Engine, UserHistories, UserRow
from serving.core.ranking import Profile
from vizsla.contracts.api import ColdStart, Notice
from vizsla.contracts.index import Query
from vizsla.user_features import code_of, encode_features
from vizsla.vocabulary import UNKNOWN

__all__ = ["Features"]

Reason = Literal["unknown_user", "empty_history", "unknown_items", "anonymous"]


class Features:
    """Resolve users, items, side features and filters.

    Unknown items and features are ignored and named.  A user without any known item
    is a cold start: searched by side features where the model knows one of them,
    answered with the popular list otherwise.
    """

    name: ClassVar[str] = "features"
    fallback: ClassVar[str] = "without_stored_features"
    needs_time = False

    def __init__(self, engine: Engine, histories: UserHistories) -> None:
        self._items = engine.catalogue.vocabulary
        self._columns = engine.manifest.user_features
        self._histories = histories
        self._attributes = engine.attributes

    def run(self, job: Job, remaining_s: float) -> Job:
        """Look users up and encode what is known of them."""
        return self._resolve(job, [self._row(ask) for ask in job.asks])

    def fall_back(self, job: Job) -> Job:
        """Use only what the request itself says; the store is not asked."""
        return self._resolve(job, [_sent(ask) for ask in job.asks])

    def _row(self, ask: Ask) -> UserRow | None:
        stored = None if ask.user_id is None else self._histories.find(ask.user_id)
        if stored is None:
            return _sent(ask)
        return replace(stored, features={**stored.features, **ask.features})

    def _resolve(self, job: Job, rows: list[UserRow | None]) -> Job:
        visitors = [
            self._visitor(ask, row, exclude_seen=job.exclude_seen)
            for ask, row in zip(job.asks, rows, strict=True)
        ]
        return replace(job, visitors=tuple(visitors))

    def _visitor(self, ask: Ask, row: UserRow | None, *, exclude_seen: bool) -> Visitor:
        history = self._items.nums(row.history if row else ())
        known = history[history != UNKNOWN]
        features = encode_features(self._columns, row.features if row else ask.features)
        return Visitor(
            query=Query(known, features),
            excluded=self._excluded(ask, known if exclude_seen else known[:0]),
            allowed=self._attributes.allowed(ask.filters) if ask.filters else None,
            cold=None if len(known) else _cold_start(ask, row, features),
            warnings=(*self._unknown_items(ask, row), *self._unknown_features(ask)),
            profile=_profile(ask, row),
        )

    def _excluded(self, ask: Ask, seen: NDArray[np.int64]) -> NDArray[np.int64]:
        asked = self._items.nums(ask.exclude)
        return np.unique(np.concatenate([asked[asked != UNKNOWN], seen]))

    def _unknown_items(self, ask: Ask, row: UserRow | None) -> list[Notice]:
        sent = () if ask.history is None or row is None else row.history
        names = list(dict.fromkeys(id_ for id_ in sent if id_ not in self._items))
        detail = f"{len(names)} of the history's items are not in the catalogue and were ignored"
        return [Notice(code="unknown_items", detail=detail, names=names)] if names else []

    def _unknown_features(self, ask: Ask) -> list[Notice]:
        names = [
            name
            for name, value in ask.features.items()
            if not code_of(self._columns.get(name, []), value)
        ]
        detail = "the model does not know these user features or their values; they were ignored"
        return [Notice(code="unknown_features", detail=detail, names=names)] if names else []


def _profile(ask: Ask, row: UserRow | None) -> Profile:
    """The matcher's features may be buckets of the ranker's, so they are read leniently."""
    known = row or UserRow((), ask.features)
    return Profile(ask.user_id, known.history, stored=known.features, context=ask.context)


def _sent(ask: Ask) -> UserRow | None:
    return None if ask.history is None else UserRow(ask.history, ask.features)


def _cold_start(ask: Ask, row: UserRow | None, features: NDArray[np.int64] | None) -> ColdStart:
    has_context = features is not None and bool(features.any())
    return ColdStart(reason=_reason(ask, row), source="context" if has_context else "popularity")


def _reason(ask: Ask, row: UserRow | None) -> Reason:
    if row is None:
        return "anonymous" if ask.user_id is None else "unknown_user"
    return "unknown_items" if row.history else "empty_history"
