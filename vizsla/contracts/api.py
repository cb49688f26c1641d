"""Seam 5': every body that crosses HTTP, under ``/v1``.

Requests are strict: an unknown field, a number in a string or a NaN is refused and
named, because a field that is silently ignored is found out weeks later.  Every list
and string is bounded, so that no accepted request can cost without bound.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from vizsla.contracts.api_fields import (
    MAX_BATCH,
    MAX_EXCLUDED,
    MAX_FEATURES,
    MAX_HISTORY,
    MAX_ID_LENGTH,
    MAX_K,
    MAX_SIMILAR,
    MAX_TMAX_MS,
    MAX_VECTOR,
    Context,
    Excluded,
    FeatureName,
    Features,
    FeatureValue,
    History,
    Id,
    K,
    SearchMode,
    Tmax,
)
from vizsla.contracts.explore_api import Explore
from vizsla.contracts.filters import Filters
from vizsla.contracts.index import Mode, StopReason

__all__ = [
    "MAX_BATCH",
    "MAX_EXCLUDED",
    "MAX_HISTORY",
    "MAX_ID_LENGTH",
    "MAX_K",
    "MAX_SIMILAR",
    "MAX_TMAX_MS",
    "MAX_VECTOR",
    "BundleInfo",
    "ColdStart",
    "Context",
    "Degradation",
    "GraphHealth",
    "Health",
    "ItemChanged",
    "ItemOutcome",
    "ItemPut",
    "ItemRecord",
    "ItemResponse",
    "ItemsBatch",
    "ItemsBatchResponse",
    "Notice",
    "Problem",
    "ProblemField",
    "QueryWork",
    "Readiness",
    "RecommendRequest",
    "RecommendResponse",
    "RecommendedItem",
    "RetrieveQuery",
    "RetrieveRequest",
    "RetrieveResponse",
    "RetrieveResult",
    "ScoredItem",
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class _Who(_Request):
    """Whom to answer: a known user, a history, or an anonymous visitor's features."""

    user_id: Id | None = Field(default=None, description="A user of the history store.")
    history: History | None = None
    user_features: Features | None = None
    exclude: Excluded = Field(default_factory=list)
    filters: Filters = ()

    def _named(self) -> list[str]:
        return [name for name in ("user_id", "history") if getattr(self, name) is not None]


class RetrieveQuery(_Who):
    """One query of a batch."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _require_one_way(self._named(), has_features=self.user_features is not None)
        return self


class RetrieveRequest(_Who):
    """Top k of the whole catalogue under the deep matching function."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "42", "k": 10},
                {"history": ["50", "181", "258"], "k": 20, "mode": "walk", "tmax": 50},
                {"queries": [{"user_id": "42"}, {"history": ["50"]}], "k": 5},
            ]
        }
    )

    queries: (
        Annotated[
            list[RetrieveQuery],
            Field(
                min_length=1,
                max_length=MAX_BATCH,
                description="A batch, answered in order; each answer is what it would be alone.",
            ),
        ]
        | None
    ) = None
    k: K | None = None
    mode: SearchMode | None = None
    exclude_seen: bool = Field(
        default=False, description="Leave out the items of the user's history."
    )
    tmax: Tmax | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = self._named() + ["queries"] * (self.queries is not None)
        _require_one_way(named, has_features=self.user_features is not None)
        misplaced = [
            name for name in ("user_features", "exclude", "filters") if getattr(self, name)
        ]
        if self.queries is not None and misplaced:
            detail = f"in a batch, {' and '.join(misplaced)} belong into each of the queries"
            raise _refused(detail, misplaced)
        return self


class RecommendRequest(_Who):
    """A slate for one user: retrieve, filter, rank."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "42", "k": 10, "tmax": 80},
                {"history": ["50", "181"], "exclude": ["258"], "k": 5},
                {
                    "user_id": "42",
                    "filters": [
                        {"attribute": "item_id", "none_of": ["50", "181"]},
                        {"attribute": "n_interactions", "gte": 5, "lt": 2000},
                    ],
                },
            ]
        }
    )

    k: K | None = None
    mode: SearchMode | None = None
    exclude_seen: bool = Field(
        default=True, description="Leave out the items of the user's history."
    )
    context: Context = Field(default_factory=dict)
    explore: Explore | None = Field(
        default=None, description="Of the bundle's ranker, among the items that it is given."
    )
    tmax: Tmax | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _require_one_way(self._named(), has_features=self.user_features is not None)
        return self


def _require_one_way(named: list[str], *, has_features: bool) -> None:
    if len(named) > 1:
        raise _refused(f"give only one of {' and '.join(named)}", named)
    if not named and not has_features:
        raise _refused(
            "say whom to answer: user_id or history, or user_features alone for an anonymous visitor",
            ["user_id"],
        )


def _refused(detail: str, fields: list[str]) -> PydanticCustomError:
    """Make an error about several fields together; ``ctx["fields"]`` names them."""
    return PydanticCustomError("fields_together", "{detail}", {"detail": detail, "fields": fields})


class ScoredItem(_Answer):
    """One item of an answer."""

    item_id: str
    score: float = Field(description="float32; higher is better; comparable within one answer.")
    rank: int = Field(description="1 is best.")


class RecommendedItem(ScoredItem):
    """One item of a slate; with a ranker, its score is the probability that ordered it."""

    pctr: float | None = Field(
        default=None, description="Probability of a click; the score too, unless explored."
    )
    logit_std: float | None = Field(
        default=None, description="Deviation of its log-odds, where the request explores."
    )


class QueryWork(_Answer):
    """What one query cost."""

    mode: Mode | Literal["none"] = Field(description="`none`: no search was run.")
    n_scored: int = Field(description="Deep scores computed.")
    n_rounds: int = Field(description="Rounds of the walk; 0 when exhaustive.")
    n_proxy_scored: int = Field(description="Dot products computed to seed the walk.")
    stopped_by: StopReason | Literal["not_run"]
    parts_us: dict[str, int] = Field(description="Microseconds per part of the search.")


class ColdStart(_Answer):
    """Why the answer is not personal, and what it rests on instead."""

    reason: Literal["unknown_user", "empty_history", "unknown_items", "anonymous"]
    source: Literal["context", "popularity"] = Field(
        description="`context`: the model with the user's features only. "
        "`popularity`: items by number of interactions, which is then their score."
    )


class Notice(_Answer):
    """Something the caller should know though the request was answered."""

    code: Literal[
        "unknown_items",
        "unknown_features",
        "unknown_fields",
        "dropped_fields",
        "not_publishable",
        "too_few_items",
    ]
    detail: str
    names: list[str] = Field(default_factory=list, description="The items or features meant.")


class Degradation(_Answer):
    """A stage that answered with less than it should."""

    stage: str
    fallback: str
    reason: str


class BundleInfo(_Answer):
    """What the answer was computed with; never a mixture."""

    content_hash: str
    model: str
    dataset: str
    created_at: str
    index: str | None = Field(description="Backend of the graph, null without one.")
    publishable: bool


class RetrieveResult(_Answer):
    """The answer to one query."""

    items: list[ScoredItem]
    work: QueryWork
    cold_start: ColdStart | None = None
    warnings: list[Notice] = Field(default_factory=list)


class RetrieveResponse(_Answer):
    """Answers in the order of the queries; exactly one when there was no batch."""

    request_id: str
    bundle: BundleInfo
    results: list[RetrieveResult]
    degraded: list[Degradation] = Field(default_factory=list)
    warnings: list[Notice] = Field(default_factory=list)


class RecommendResponse(_Answer):
    """A slate."""

    request_id: str
    bundle: BundleInfo
    items: list[RecommendedItem]
    work: QueryWork
    ranked_by: Literal["ranker", "retrieval"] = Field(
        description="`retrieval`: the bundle has no ranker, or it was late; the order is the matcher's."
    )
    cold_start: ColdStart | None = None
    degraded: list[Degradation] = Field(default_factory=list)
    warnings: list[Notice] = Field(default_factory=list)


class ItemResponse(_Answer):
    """What is known of an item."""

    item_id: str
    active: bool = Field(default=True, description="False: paused, in no answer.")
    n_interactions: int = Field(description="In training; 0 for an item that came later.")
    attributes: dict[str, Any] = Field(description="The item's own columns.")


class ItemPut(_Request):
    """The state that an item is to have; an item that is not there is made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"similar_items": ["50", "181"], "attributes": {"title": "New"}},
                {"active": False},
            ]
        }
    )

    vector: (
        Annotated[
            list[float],
            Field(
                min_length=1,
                max_length=MAX_VECTOR,
                description="The item's vector, as the bundle's item net would give it.",
            ),
        ]
        | None
    ) = None
    similar_items: (
        Annotated[
            list[Id],
            Field(
                min_length=1,
                max_length=MAX_SIMILAR,
                description="Items of the catalogue whose mean direction the vector is to have.",
            ),
        ]
        | None
    ) = None
    attributes: (
        Annotated[
            dict[FeatureName, str | int | float | bool | list[FeatureValue] | None],
            Field(
                max_length=MAX_FEATURES, description="The item's own columns; absent: as they are."
            ),
        ]
        | None
    ) = None
    active: bool | None = Field(
        default=None,
        description="False: paused, in the catalogue and in no answer; absent: as it is, "
        "true for a new item.",
    )
    event_id: Id | None = Field(
        default=None,
        description="A change sent again with the same id counts once; made by the server if absent.",
    )

    @model_validator(mode="after")
    def _one_vector(self) -> Self:
        if self.vector is not None and self.similar_items is not None:
            raise _refused("give only one of vector and similar_items", ["vector", "similar_items"])
        return self


class ItemRecord(ItemPut):
    """One change of a batch."""

    item_id: Id
    action: Literal["put", "remove"] = Field(
        default="put", description="`remove` takes the item out; the other fields mean nothing."
    )


class ItemsBatch(_Request):
    """Changes of different items; each is taken or refused by itself."""

    items: Annotated[
        list[Any],
        Field(
            min_length=1,
            description="Each is checked by itself, so a wrong one does not refuse the others.",
            json_schema_extra={"items": ItemRecord.model_json_schema()},
        ),
    ]


class Health(_Answer):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Readiness(_Answer):
    """Whether requests are answered now, and with what."""

    status: Literal["starting", "ready", "draining", "stopped"]
    bundle: BundleInfo | None = None
    n_items: int = 0
    n_users: int = 0
    warnings: list[Notice] = Field(default_factory=list)


class GraphHealth(_Answer):
    """Whether the graph that searches walk is sound, with all changes of items."""

    status: Literal["sound", "damaged"]
    problems: list[str] = Field(description="What is wrong, a line each; empty when it is sound.")


class ItemChanged(_Answer):
    """A change that the log has: it survives a crash, and searches of this process see it."""

    item_id: str
    status: Literal["created", "changed", "removed"]
    event_id: str
    offset: int = Field(description="Place in the item log.")


class ProblemField(_Answer):
    """One wrong field."""

    location: Literal["body", "header", "path", "query"] = "body"
    pointer: str = Field(description="JSON pointer into the body (RFC 6901), or the name.")
    detail: str


class Problem(_Answer):
    """An error, as in RFC 9457."""

    type: str = Field(description="Path of the page that explains this kind of error.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request id.")
    errors: list[ProblemField] = Field(default_factory=list)


class ItemOutcome(_Answer):
    """What became of one record of a batch: taken with an offset, or refused with a reason."""

    item_id: str | None = Field(description="Null where the record does not say.")
    status: Literal["created", "changed", "removed", "refused"]
    event_id: str | None = None
    offset: int | None = None
    detail: str | None = None
    errors: list[ProblemField] = Field(default_factory=list)


class ItemsBatchResponse(_Answer):
    """Outcomes in the order of the records; those taken are in the log."""

    results: list[ItemOutcome]
    n_taken: int
    n_refused: int
