"""MovieLens-1M as click-through data; of time only the order within a user is known."""

from __future__ import annotations

from pathlib import Path

from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.films import FILM_FIELDS, draft
from vizsla.datasets.frames.storage import FrameDraft
from vizsla.datasets.sources.ml_1m import SOURCE as DATASET

__all__ = ["SOURCE"]

FIELDS = (*FILM_FIELDS[:2], FieldSpec(name="age_bracket", owner="user"), *FILM_FIELDS[2:])


def _draft(folder: Path, options: FrameOptions) -> FrameDraft:
    return draft("ml-1m-ctr", DATASET, DATASET.parse(folder), FIELDS, options)


SOURCE = FrameSource(
    name="ml-1m-ctr",
    title="MovieLens-1M as click-through data: 999,611 rows, 10 fields, rating >= 4",
    origin=DATASET.origin,
    licence=DATASET.licence,
    files=DATASET.files,
    draft=_draft,
    splits=("random", "time"),
    download=DATASET.download,
)
