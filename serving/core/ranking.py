"""What a ranker is asked, what it answers, and in which order the answer is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.api import Notice

__all__ = ["Candidate", "Profile", "Ranked", "best_first", "unread_notices"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Whom candidates are ranked for, in the caller's words.

    Attributes:
        user_id: As sent, whether the history store knows it or not.
        history: Item ids, oldest first.
        stored: Side features; what does not fit the ranker counts as missing.
        sent: Side features that came with the request and win over those stored; what does
            not fit is refused.
        context: Of the moment; the same.
    """

    user_id: str | None = None
    history: tuple[str, ...] = ()
    stored: Mapping[str, Any] = field(default_factory=dict)
    sent: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item to rank.

    Attributes:
        item_id: Of the catalogue, or any other.
        fields: Item fields that win over the catalogue's.
    """

    item_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker says of K candidates, in their order.

    Attributes:
        scores: ``(K,)`` log-odds: unlike probabilities, different ones stay different near 1.
        pctr: ``(K,)`` probabilities of a click.
        unknown: Names of fields that were sent and that the ranker was not trained with.
        dropped: Names of fields that were sent and that its search found to be of no use.
    """

    scores: NDArray[np.float64]
    pctr: NDArray[np.float64]
    unknown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def best_first(scores: NDArray[np.float64], values: Sequence[float | None]) -> NDArray[np.int64]:
    """Return the order of K candidates: by value, those without one after them by score.

    Ties keep the order in which the candidates came.

    Example:
        >>> best_first(np.array([0.1, 0.9, 0.5]), [7.0, None, 9.0]).tolist()
        [2, 0, 1]
    """
    without = np.array([value is None for value in values], np.bool_)
    keys = np.array([0.0 if value is None else value for value in values], np.float64)
    order = np.lexsort((np.arange(len(scores)), -scores, -keys, without))
    return order.astype(np.int64)


def unread_notices(ranked: Ranked) -> list[Notice]:
    """Say which fields were sent for nothing, and why."""
    notices = []
    if ranked.unknown:
        detail = "the ranker was not trained with these fields; they were ignored"
        notices.append(Notice(code="unknown_fields", detail=detail, names=list(ranked.unknown)))
    if ranked.dropped:
        detail = "the ranker's search dropped these fields; they need not be sent"
        notices.append(Notice(code="dropped_fields", detail=detail, names=list(ranked.dropped)))
    return notices
