"""What travels through the pipeline: one request, filled in stage by stage.

Shapes: **K** results, **L** history, **F** user features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from serving.core.ranking import Exploration, Profile
from vizsla.contracts.api import ColdStart, Degradation, Notice
from vizsla.contracts.filters import Filter
from vizsla.contracts.index import Mode, Query, SearchWork

__all__ = ["Ask", "Found", "Job", "Visitor"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One query in the caller's words.

    Attributes:
        user_id: A user of the history store, or None.
        history: Item ids, oldest first, or None when not given.
        features: The user's side features as sent.
        exclude: Item ids that must not come back.
        filters: Every one must hold for an item to come back; they fit the attributes.
        context: What the ranker may know of the moment, field to value.
    """

    user_id: str | None = None
    history: tuple[str, ...] | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visitor:
    """One query in item numbers, as the features stage resolved it.

    Attributes:
        query: What the model sees.
        excluded: Ascending int64 item numbers that must not come back.
        allowed: ``(N,)`` bool, the items for which the filters hold; None without filters.
        cold: Why and how the answer is not personal, None when it is.
        warnings: What the caller should know.
        profile: What the ranker sees.
    """

    query: Query
    excluded: NDArray[np.int64]
    allowed: NDArray[np.bool_] | None = None
    cold: ColdStart | None = None
    warnings: tuple[Notice, ...] = ()
    profile: Profile = field(default_factory=Profile)


@dataclass(frozen=True, slots=True)
class Found:
    """The items of one query.

    Attributes:
        item_nums: ``(K,)`` int64, best first.
        scores: ``(K,)`` float32.
        work: What the search cost, None where there was none.
        pctr: ``(K,)`` probabilities of a click, once ranked.
        logit_std: ``(K,)`` deviations of their log-odds, where the request explores.
    """

    item_nums: NDArray[np.int64]
    scores: NDArray[np.float32]
    work: SearchWork | None = None
    pctr: NDArray[np.float64] | None = None
    logit_std: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A request on its way.

    Attributes:
        asks: B queries.
        k: Items wanted per query.
        mode: How to search.
        exclude_seen: Whether the history's items are left out.
        deadline_s: Monotonic second by which the answer should leave.
        visitors: B resolved queries, from the features stage on.
        found: B lists, from the retrieve stage on.
        ranked_by: What decided the final order.
        explore: How the ranker explores, None where it does not.
        n_candidates: Items to retrieve for the ranker to choose from, where more than ``k``.
        degraded: Fallbacks that were used, in order.
        parts_us: Microseconds spent, by stage.
    """

    asks: tuple[Ask, ...]
    k: int
    mode: Mode
    exclude_seen: bool
    deadline_s: float
    visitors: tuple[Visitor, ...] = ()
    found: tuple[Found, ...] = ()
    ranked_by: Literal["ranker", "retrieval"] = "retrieval"
    explore: Exploration | None = None
    n_candidates: int = 0
    degraded: tuple[Degradation, ...] = ()
    parts_us: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_wanted(self) -> int:
        """Items to keep per query before the ranker has chosen."""
        return max(self.k, self.n_candidates)
