"""What the core needs from outside; adapters implement it, tests bring fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.core.ranking import Candidate, Exploration, Profile, Ranked
from vizsla.contracts.api import BundleInfo, Notice
from vizsla.contracts.bundle import Manifest
from vizsla.contracts.filters import AttributeKind, Filter
from vizsla.contracts.index import Retriever, Scorer, SearchOptions
from vizsla.contracts.placing import ItemPlacer
from vizsla.contracts.rank_api import RankerInfo, RankerResponse
from vizsla.vocabulary import Vocabulary

__all__ = ["Attributes", "Catalogue", "Engine", "Ranker", "UserHistories", "UserRow"]


@dataclass(frozen=True, slots=True)
class UserRow:
    """What is stored of a user: item ids, oldest first, and side features."""

    history: tuple[str, ...]
    features: Mapping[str, str] = field(default_factory=dict)


class UserHistories(Protocol):
    """Rows of known users; users are not in a bundle, so that one can be erased."""

    def find(self, user_id: str) -> UserRow | None:
        """Return a user's row, or None for an unknown user."""
        ...

    def __len__(self) -> int: ...


class Catalogue(Protocol):
    """The items of one bundle."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Item identifiers; the row is the item number."""
        ...

    def n_interactions(self, item_nums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the training interactions of items."""
        ...

    def popular(self, at_most: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return items that may be returned and are allowed, most interactions first."""
        ...

    def is_active(self, item_num: int) -> bool:
        """Return whether an item may be in an answer."""
        ...

    def attributes(self, item_num: int) -> dict[str, Any]:
        """Return an item's own columns as JSON values."""
        ...


class Attributes(Protocol):
    """The items' attributes, by which requests filter."""

    @property
    def kinds(self) -> Mapping[str, AttributeKind]:
        """Attribute to what it holds."""
        ...

    def allowed(self, filters: Sequence[Filter]) -> NDArray[np.bool_]:
        """Return the ``(N,)`` items for which all filters hold; equal filters, equal array."""
        ...


class Ranker(Protocol):
    """Gives candidates the probability of a click; a bundle may bring one."""

    @property
    def info(self) -> RankerInfo:
        """What answers say they were ranked with."""
        ...

    def described(self, bundle: BundleInfo) -> RankerResponse:
        """Return all that is known of it, as part of a bundle."""
        ...

    def check(self, context: Mapping[str, Any]) -> None:
        """Refuse fields of a request whose values have a wrong type.

        Raises:
            InvalidRequestError: Names each.
        """
        ...

    def rank(
        self,
        profile: Profile,
        candidates: Sequence[Candidate],
        remaining_s: float,
        explore: Exploration | None = None,
    ) -> Ranked:
        """Score K candidates, each for itself; explore only where ``info.explores``.

        Raises:
            InvalidRequestError: A value that was sent has a wrong type.
            DeadlineError: There is not the time for it.
        """
        ...

    def values(self, pctr: NDArray[np.float64], bids: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(K,)`` what a thousand impressions earn at these bids per click."""
        ...

    def note_changes(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Take note of items whose own columns are no longer those of the bundle."""
        ...


@dataclass(frozen=True)
class Engine:
    """Everything that comes from one bundle; swapped as a whole, never in parts.

    Attributes:
        manifest: The bundle's own description.
        catalogue: The items.
        scorer: The deep matching function.
        retriever: What searches under it.
        search: The bounds of every search: beam, rounds, deep scores.
        attributes: What filters are about.
        item_net: Places new items by their columns; None where the model reads none.
        notices: Warnings that every answer of this bundle carries.
        ranker: None where the bundle has none.
    """

    manifest: Manifest
    catalogue: Catalogue
    scorer: Scorer
    retriever: Retriever
    attributes: Attributes
    search: SearchOptions = field(default_factory=SearchOptions)
    item_net: ItemPlacer | None = None
    notices: tuple[Notice, ...] = ()
    ranker: Ranker | None = None

    @cached_property
    def info(self) -> BundleInfo:
        """What answers say they were computed with."""
        manifest = self.manifest
        index = manifest.shards.shards[0].index if manifest.shards else manifest.index
        return BundleInfo(
            content_hash=manifest.content_hash,
            model=manifest.model.name,
            dataset=manifest.dataset.name,
            created_at=manifest.created_at,
            index=index.backend if index else None,
            publishable=manifest.publishable,
        )
