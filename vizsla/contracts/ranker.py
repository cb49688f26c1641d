"""An exported ranker: a directory that holds all that is needed to answer as training did.

::

    ranker.json           this manifest
    weights.safetensors   tensors of ``vizsla.models.ranker.Ranker`` by name
    fields/               encoders of the kept fields, as ``FieldEncoders.save`` writes them
    golden.jsonl          rows with the probability that each must get, one ``GoldenRow`` a line
    uncertainty.safetensors   how unsure its logits are, where that was fitted
    importance.json       what every field is worth, an ``ImportanceReport``; may be absent
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from vizsla.contracts.bundle import FileEntry, ModelRef
from vizsla.contracts.ranking import RankingSchema

__all__ = ["RANKER_FORMAT_VERSION", "FrameRef", "GoldenRow", "RankerManifest", "UncertaintyRef"]

RANKER_FORMAT_VERSION = 1


class _Frozen(BaseModel):
    # the field "schema" is what a ranker's manifest is about; pydantic's own is old and unused
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class FrameRef(_Frozen):
    """What a ranker was trained on.

    Attributes:
        name: Of the training frame.
        content_hash: Of the training frame.
        negative_ratio: Share of the true negatives that it holds.
    """

    name: str
    content_hash: str
    negative_ratio: float = Field(default=1.0, gt=0, le=1)


class GoldenRow(_Frozen):
    """A row and its answer.

    Attributes:
        rows: Field to value, as a request would send it; a field without a value is left out.
        probability: Of a positive label, before any calibration.
    """

    rows: dict[str, JsonValue]
    probability: float = Field(ge=0, le=1)


class UncertaintyRef(_Frozen):
    """What the deviations of ``uncertainty.safetensors`` are of.

    Attributes:
        item_field: Kept field whose codes say which item a row shows.
    """

    item_field: str


class RankerManifest(_Frozen):
    """Content of ``ranker.json``.

    Attributes:
        content_hash: Over everything else here, the hashes of all files included.
        model: Name in ``RANKERS``, and its settings.
        ranking_schema: Kept fields and their widths; ``schema`` in the file.
        metrics: Figures by split and name, ``valid.auc``.
        dataset: What it was trained on.
        files: Path within the directory to hash and size.
        calibration: How probabilities are corrected; None where no curve was fitted, so that only
            dropped negatives are put right.
        uncertainty: None where none was fitted.
    """

    format_version: int = RANKER_FORMAT_VERSION
    content_hash: str
    model: ModelRef
    ranking_schema: RankingSchema = Field(alias="schema")
    metrics: dict[str, float] = Field(default_factory=dict)
    dataset: FrameRef
    files: dict[str, FileEntry]
    calibration: dict[str, Any] | None = None
    uncertainty: UncertaintyRef | None = None
