"""Seam 2: the columns that events, items and users must have before anything trains on them.

A dataset is a directory that ``vizsla data fetch`` or ``vizsla data import`` writes::

    dataset.json           this manifest
    interactions.parquet   user_id, item_id: string; event_timestamp: float64; event_type: string;
                           optional split: string (train, valid, test); further columns as they came
    items.parquet          item_id: string, title: string or null, further columns
    users.parquet          user_id: string, further columns (only where the source has any)
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ColumnRole", "DatasetManifest", "Order", "SideFeature"]

Order = Literal["time", "position", "none"]
"""Whether ``event_timestamp`` is Unix seconds, only a rank per user, or means nothing."""

ColumnRole = Literal["categorical", "multi_valued", "numeric", "text", "ignored"]


class SideFeature(BaseModel):
    """One further column of items or users and how a model may read it.

    ``multi_valued`` columns hold lists of strings; ``numeric`` columns are cut into
    quantile buckets before they are embedded; ``text`` and ``ignored`` are carried along.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    role: ColumnRole


class DatasetManifest(BaseModel):
    """Counts, origin and meaning of a dataset directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = 1
    name: str
    source: str
    licence: str
    order: Order
    given_split: bool = False
    repeats: bool = Field(
        default=False,
        description="A user may meet the same item again; then seen items stay candidates.",
    )
    n_interactions: int
    n_users: int
    n_items: int
    n_quarantined: int = 0
    item_features: list[SideFeature] = Field(default_factory=list)
    user_features: list[SideFeature] = Field(default_factory=list)
    content_hash: str
