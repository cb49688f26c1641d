"""Types of the fields of requests, each with its bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from vizsla.contracts.index import Mode

__all__ = [
    "MAX_BATCH",
    "MAX_EXCLUDED",
    "MAX_FEATURES",
    "MAX_HISTORY",
    "MAX_ID_LENGTH",
    "MAX_K",
    "MAX_SIMILAR",
    "MAX_TMAX_MS",
    "MAX_VECTOR",
    "Context",
    "Excluded",
    "FeatureName",
    "FeatureValue",
    "Features",
    "FieldValue",
    "History",
    "Id",
    "K",
    "SearchMode",
    "Tmax",
]

MAX_K = 1000
MAX_HISTORY = 1000
MAX_EXCLUDED = 1000
MAX_BATCH = 64
MAX_ID_LENGTH = 256
MAX_TMAX_MS = 60_000
MAX_FEATURES = 64
MAX_SIMILAR = 100
MAX_VECTOR = 4096

Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
FeatureName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
FeatureValue = Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)]

History = Annotated[
    list[Id],
    Field(
        min_length=1,
        max_length=MAX_HISTORY,
        description="Items the user met, oldest first. Unknown ones are ignored and named in `warnings`.",
    ),
]
Excluded = Annotated[
    list[Id],
    Field(max_length=MAX_EXCLUDED, description="Items that must not be in the answer."),
]
Features = Annotated[
    dict[FeatureName, FeatureValue],
    Field(
        max_length=MAX_FEATURES,
        description="Side features of the user, column name to value; they win over stored ones.",
    ),
]
FieldValue = str | int | float | bool | list[FeatureValue] | None
Context = Annotated[
    dict[FeatureName, FieldValue],
    Field(
        max_length=MAX_FEATURES,
        description="What the ranker may know of the moment; means nothing without a ranker.",
    ),
]
K = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_K,
        description="Items wanted per query; the setting `serving.default_k` if absent.",
    ),
]
SearchMode = Annotated[
    Mode,
    Field(
        description="`walk` searches the graph, `exhaustive` scores every item, `auto` chooses; "
        "the setting `search.mode` if absent."
    ),
]
Tmax = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_TMAX_MS,
        description="Milliseconds the client waits. The best found by then is answered, "
        "and `degraded` says so. Wins over the header `X-Request-Timeout-Ms`.",
    ),
]
