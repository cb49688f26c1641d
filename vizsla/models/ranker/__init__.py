"""CTR models: packed embedding tables of any width per field, and a backbone on top of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import ConfigError
from vizsla.models.ranker.base import Backbone, Ranker
from vizsla.models.ranker.embeddings import Embedded, FieldEmbeddings, Sequence
from vizsla.models.ranker.inputs import FieldInputs, to_inputs
from vizsla.registry import Registry

__all__ = [
    "RANKERS",
    "Backbone",
    "Embedded",
    "FieldEmbeddings",
    "FieldInputs",
    "Ranker",
    "Sequence",
    "build_ranker",
    "to_inputs",
]

RANKERS = Registry(
    "ranker",
    {
        "dcnv2": "vizsla.models.ranker.dcnv2:DcnV2",
        "deepfm": "vizsla.models.ranker.deepfm:DeepFm",
        "din": "vizsla.models.ranker.din:Din",
        "dnn": "vizsla.models.ranker.dnn:Dnn",
        "fm": "vizsla.models.ranker.fm:Fm",
        "lr": "vizsla.models.ranker.lr:LogisticRegression",
        "wide_deep": "vizsla.models.ranker.wide_deep:WideDeep",
    },
)
"""Backbones by name; a new one is a file and one line here."""


def build_ranker(
    schema: RankingSchema, model: str, settings: Mapping[str, Any], *, sparse: bool = False
) -> Ranker:
    """Build a CTR model, its weights not yet drawn.

    Args:
        schema: Kept fields and their widths.
        model: Name in ``RANKERS``.
        settings: Of its ``config_class``.
        sparse: Whether tables get sparse gradients.

    Raises:
        UnknownNameError: No such model.
        ConfigError: A setting is unknown or wrong, or the fields do not suit the model.
    """
    kind: type[Backbone] = RANKERS.load(model)
    if not schema.kept:
        raise ConfigError(f"model {model}: the schema keeps no field, there is nothing to read")
    try:
        config = kind.config_class.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([model, *map(str, first["loc"])])
        known = ", ".join(kind.config_class.model_fields) or "none"
        raise ConfigError(f"model setting {key!r}: {first['msg']}; known: {known}") from error
    return Ranker(schema, kind(schema, config), sparse=sparse)
