"""MovieLens-100K as click-through data: 12 fields and what the user liked before."""

from __future__ import annotations

from pathlib import Path

from vizsla.contracts.fields import BucketEncoding, FieldSpec
from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.films import CONTEXT_FIELDS, FILM_FIELDS, draft
from vizsla.datasets.frames.storage import FrameDraft
from vizsla.datasets.sources.ml_100k import SOURCE as DATASET

__all__ = ["SOURCE"]

AGE = FieldSpec(name="age", kind="numeric", owner="user", encoding=BucketEncoding())
FIELDS = (*FILM_FIELDS[:2], AGE, *FILM_FIELDS[2:-1], *CONTEXT_FIELDS, FILM_FIELDS[-1])


def _draft(folder: Path, options: FrameOptions) -> FrameDraft:
    return draft("ml-100k-ctr", DATASET, DATASET.parse(folder), FIELDS, options)


SOURCE = FrameSource(
    name="ml-100k-ctr",
    title="MovieLens-100K as click-through data: 100,000 rows, 13 fields, rating >= 4",
    origin=DATASET.origin,
    licence=DATASET.licence,
    files=DATASET.files,
    draft=_draft,
    splits=("random", "time"),
    download=DATASET.download,
)
