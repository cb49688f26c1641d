"""Seam 5', the part about ranking: the bodies of ``POST /v1/rank``.

Strict as all requests are, with one exception: the *names* of fields.  Which fields a ranker
reads changes with every search for them, and callers go on sending what they have; a field that
is not read is ignored, named in ``warnings`` and counted.  Their values are checked all the same.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from vizsla.contracts.api import BundleInfo, Degradation, Notice, _Answer, _Request
from vizsla.contracts.api_fields import (
    MAX_FEATURES,
    Context,
    FeatureName,
    FieldValue,
    History,
    Id,
    Tmax,
)
from vizsla.contracts.explore_api import Explore
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.tables import TableDtype

__all__ = [
    "MAX_RANKED",
    "RankItem",
    "RankRequest",
    "RankResponse",
    "RankedItem",
    "RankerInfo",
    "RankerResponse",
]

MAX_RANKED = 1000
MAX_BID = 1e6

Fields = Annotated[dict[FeatureName, FieldValue], Field(max_length=MAX_FEATURES)]


class RankItem(_Request):
    """One candidate."""

    item_id: Id = Field(description="Of the catalogue, or any other: then only `fields` tell it.")
    bid: float | None = Field(
        default=None, ge=0, le=MAX_BID, description="Per click, in units of any one currency."
    )
    fields: Fields = Field(
        default_factory=dict, description="Item fields that win over the catalogue's."
    )


class RankRequest(_Request):
    """Candidates to order for one user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "42", "items": [{"item_id": "50"}, {"item_id": "181"}], "tmax": 50},
                {
                    "history": ["50", "181"],
                    "user_features": {"occupation": "writer"},
                    "context": {"hour": 20},
                    "items": [{"item_id": "258", "bid": 0.4}, {"item_id": "7", "bid": 0.25}],
                },
                {
                    "user_id": "42",
                    "items": [{"item_id": "50"}, {"item_id": "181"}],
                    "explore": {"method": "ucb", "n_std": 0.5},
                },
            ]
        }
    )

    items: Annotated[
        list[RankItem],
        Field(min_length=1, max_length=MAX_RANKED, description="Each is ranked for itself."),
    ]
    user_id: Id | None = Field(
        default=None, description="What the history store knows of the user is read too."
    )
    history: History | None = Field(default=None, description="Wins over the stored one.")
    user_features: Fields = Field(
        default_factory=dict, description="User fields; they win over stored ones."
    )
    context: Context = Field(default_factory=dict)
    explore: Explore | None = Field(default=None, description="Absent: the likeliest come first.")
    tmax: Tmax | None = None


class RankerInfo(_Answer):
    """What candidates were ranked with."""

    content_hash: str
    model: str
    frame: str = Field(description="The training frame, which says what a positive label is.")
    calibrated: bool = Field(
        description="Whether probabilities were corrected on held-out rows; if not, only their "
        "order means anything, and an eCPM is no forecast."
    )
    explores: bool = Field(
        default=False,
        description="Whether it knows how unsure it is, so that requests may `explore`.",
    )


class RankedItem(_Answer):
    """One candidate with its place."""

    item_id: str
    rank: int = Field(description="1 is best.")
    pctr: float | None = Field(
        description="Probability of a click, never explored; null where there was no time."
    )
    ecpm: float | None = Field(
        description="1000 * bid * pctr: what a thousand impressions earn; null without a bid."
    )
    logit_std: float | None = Field(
        default=None, description="Deviation of its log-odds, where the request explores."
    )
    explored_pctr: float | None = Field(
        default=None,
        description="What stood in for `pctr` in the order, where the request explores; no forecast.",
    )
    known: bool = Field(description="False: not in the catalogue.")


class RankResponse(_Answer):
    """All candidates, best first: by `ecpm`, those without a bid after them by `pctr`.

    Where the request explores, by `1000 * bid * explored_pctr` and `explored_pctr`.
    """

    request_id: str
    bundle: BundleInfo
    ranker: RankerInfo
    items: list[RankedItem]
    ranked_by: Literal["ecpm", "pctr", "explored_ecpm", "explored_pctr", "request"] = Field(
        description="`request`: nothing could be computed; the order is that of the request."
    )
    degraded: list[Degradation] = Field(default_factory=list)
    warnings: list[Notice] = Field(default_factory=list)


class RankerResponse(_Answer):
    """What is known of the bundle's ranker."""

    bundle: BundleInfo
    ranker: RankerInfo
    schema_id: str = Field(description="Hash of the fields and their widths.")
    model_settings: dict[str, Any]
    dtype: TableDtype = Field(description="How embedding tables and the items' side are stored.")
    n_bytes: int = Field(description="Of both, in memory.")
    calibration: dict[str, Any] | None = Field(
        description="Curve of the probabilities and share of kept negatives; null: none."
    )
    figures: dict[str, float] = Field(description="By split and name, as `valid.auc`.")
    importance: ImportanceReport = Field(
        description="All fields with their widths and why; effects where training measured them."
    )
