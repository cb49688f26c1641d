"""What a ranker is asked, what it answers, and in which order the answer is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.api import Notice
from vizsla.contracts.explore_api import Explore
from vizsla.contracts.rank_api import RankerInfo
from vizsla.errors import FieldProblem, InvalidRequestError

__all__ = [
    "Candidate",
    "Exploration",
    "Explored",
    "Profile",
    "Ranked",
    "best_first",
    "exploration",
    "unread_notices",
]


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
class Exploration:
    """How one request explores.

    Attributes:
        n_std: Deviations that are added to each logit; None draws a model instead.
        request_id: What draws are made from, so that the same request gets the same answer.
    """

    n_std: float | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Explored:
    """What K candidates may be worth, in their order.

    Attributes:
        scores: ``(K,)`` log-odds that order them.
        pctr: ``(K,)`` the same as probabilities.
        std: ``(K,)`` deviations of their log-odds.
    """

    scores: NDArray[np.float64]
    pctr: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker says of K candidates, in their order.

    Attributes:
        scores: ``(K,)`` log-odds: unlike probabilities, different ones stay different near 1.
        pctr: ``(K,)`` probabilities of a click.
        unknown: Names of fields that were sent and that the ranker was not trained with.
        dropped: Names of fields that were sent and that its search found to be of no use.
        explored: What orders them in place of scores, where the request explores.
    """

    scores: NDArray[np.float64]
    pctr: NDArray[np.float64]
    unknown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    explored: Explored | None = None

    @property
    def ordering(self) -> NDArray[np.float64]:
        """``(K,)`` log-odds that order the candidates."""
        return self.scores if self.explored is None else self.explored.scores

    @property
    def ordering_pctr(self) -> NDArray[np.float64]:
        """``(K,)`` the same as probabilities."""
        return self.pctr if self.explored is None else self.explored.pctr


def exploration(
    explore: Explore | None, info: RankerInfo | None, request_id: str
) -> Exploration | None:
    """Return how a request explores, None where it does not.

    Args:
        explore: As sent.
        info: Of the ranker that it would be answered with; None where there is none.
        request_id: Of the request.

    Raises:
        InvalidRequestError: There is no ranker, or it does not know how unsure it is.
    """
    if explore is None:
        return None
    if info is None or not info.explores:
        who = "the bundle that is served has no ranker"
        detail = f"{who}: attach one (vizsla bundle attach-ranker), or leave explore out"
        if info is not None:
            detail = (
                "the ranker that is served does not know how unsure it is: train it again with a "
                "perceptron and the item's field (result.json says what was missing) and attach "
                "it, or leave explore out"
            )
        raise InvalidRequestError(f"/explore: {detail}", (FieldProblem("/explore", detail),))
    n_std = 1.0 if explore.n_std is None else explore.n_std
    return Exploration(n_std if explore.method == "ucb" else None, request_id)


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
