"""Seam 2: the columns that events, items and users must have before anything trains on them.

A dataset is a directory that ``vizsla data fetch`` or ``vizsla data import`` writes::

    dataset.json           this manifest
    interactions.parquet   user_id, item_id: string; event_timestamp: float64; event_type: string;
                           optional split: string (train, valid, test); further columns as they came
    items.parquet          item_id: string, title: string or null, further columns
    users.parquet          user_id: string, further columns (only where the source has any)

What a ranker trains on is a *training frame*: labelled rows with every field in place, as joins
point in time make it.  It is a directory too::

    frame.json             the manifest ``TrainingFrame``
    train/*.parquet        label: float32 (0 or 1), and a column per field: strings, numbers or
    valid/*.parquet        lists of strings; optional event_timestamp: float64, user_id and
    test/*.parquet         item_id: string, weight: float32
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vizsla.contracts.fields import FieldSpec, check_fields

__all__ = [
    "ColumnRole",
    "DatasetManifest",
    "FrameSplit",
    "Order",
    "SideFeature",
    "SplitCounts",
    "TrainingFrame",
]

FrameSplit = Literal["train", "valid", "test"]

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


class SplitCounts(BaseModel):
    """Rows of one split of a frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_rows: int = Field(ge=0)
    n_positive: int = Field(ge=0)


class TrainingFrame(BaseModel):
    """What a frame holds and where it comes from.

    Attributes:
        label_rule: What makes a row positive, for people: ``rating >= 4``.
        fields: The declared fields, each a column of every split.
        negative_ratio: Share of the true negatives that were kept; predictions are corrected
            for it, see ``training.ctr.calibration``.
        planted: Where the frame is synthetic: field to the number of dimensions that it needs;
            0 for noise, and for a copy of another field.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = 1
    name: str
    source: str
    licence: str
    label_rule: str
    fields: list[FieldSpec]
    splits: dict[FrameSplit, SplitCounts]
    negative_ratio: float = Field(default=1.0, gt=0, le=1)
    planted: dict[str, int] = Field(default_factory=dict)
    content_hash: str

    @field_validator("fields")
    @classmethod
    def _fields_agree(cls, fields: list[FieldSpec]) -> list[FieldSpec]:
        return check_fields(fields)
