"""Writes a trained ranker as what the server reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from training.ctr.predicting import predict
from training.ctr.recipe import RankerRecipe
from vizsla.bundles.ranker import ExportedRanker, RankerParts, UncertaintyParts, write_ranker
from vizsla.contracts.bundle import ModelRef
from vizsla.contracts.features import FrameSplit
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.ranker import FrameRef, GoldenRow
from vizsla.datasets.frames import Frame
from vizsla.fields.encoders import FieldEncoders
from vizsla.models.ranker import Ranker
from vizsla.models.ranker.calibration import Calibration

__all__ = ["Trained", "export", "records"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained ranker, where it comes from, and what is known of it.

    ``calibration`` is None where no curve could be fitted.
    """

    ranker: Ranker
    recipe: RankerRecipe
    frame: Frame
    encoders: FieldEncoders
    figures: Mapping[str, Mapping[str, float]]
    calibration: Calibration | None
    uncertainty: UncertaintyParts | None = None
    importance: ImportanceReport | None = None


def export(folder: Path, trained: Trained) -> ExportedRanker:
    """Write the ranker with golden rows from validation, or from training where there are none."""
    ranker, manifest = trained.ranker, trained.frame.manifest
    fitted = trained.calibration
    parts = RankerParts(
        model=ModelRef(
            name=trained.recipe.model, config=ranker.backbone.config.model_dump(mode="json")
        ),
        schema=ranker.schema,
        weights={name: tensor.numpy() for name, tensor in ranker.state_dict().items()},
        encoders=trained.encoders,
        golden=_golden(trained),
        calibration=None if fitted is None else fitted.model_dump(mode="json"),
        uncertainty=trained.uncertainty,
        importance=trained.importance,
        dataset=FrameRef(
            name=manifest.name,
            content_hash=manifest.content_hash,
            negative_ratio=manifest.negative_ratio,
        ),
        metrics={
            f"{split}.{name}": value
            for split, figures in trained.figures.items()
            for name, value in figures.items()
        },
    )
    return write_ranker(folder, parts)


def records(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as a request would send them: without what is null or NaN."""
    return [
        {name: value for name, value in row.items() if not _is_nothing(value)}
        for row in table.to_dicts()
    ]


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _golden(trained: Trained) -> list[GoldenRow]:
    frame, ranker = trained.frame, trained.ranker
    names = [one.spec.name for one in ranker.schema.kept]
    counts = frame.manifest.splits.get("valid")
    split: FrameSplit = "valid" if counts is not None and counts.n_rows else "train"
    table = next(frame.tables(split, names)).head(trained.recipe.golden_rows)
    rows = records(table)
    probabilities = predict(ranker, trained.encoders.keep(names).encode_records(rows))
    return [
        GoldenRow(rows=row, probability=float(p))
        for row, p in zip(rows, probabilities, strict=True)
    ]
