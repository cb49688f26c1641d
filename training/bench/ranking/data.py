"""Frames as the comparisons need them: planted noise, and all splits as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import Frame, read_frame, resolve_frame, write_frame
from vizsla.datasets.frames.noise import with_noise
from vizsla.fields import EncodedRows
from vizsla.fields.encoders import FieldEncoders

__all__ = ["RankingData", "encoded", "noisy_frame"]

FULL_WIDTH = 30


@dataclass(frozen=True, slots=True)
class RankingData:
    """One frame, encoded; the test rows are for final figures alone."""

    schema: RankingSchema
    planted: dict[str, int]
    train: EncodedRows
    valid: EncodedRows
    test: EncodedRows

    @property
    def noise(self) -> list[str]:
        """Fields that are noise by construction."""
        return [name for name, needed in self.planted.items() if not needed]


def noisy_frame(
    name: str, home: Path, work: Path, seed: int, cardinalities: Sequence[int]
) -> Frame:
    """Return a frame with noise fields of a seed, made once; without any, the frame itself.

    Args:
        name: Of a frame that is there.
        home: Where frames are.
        work: Where the one with noise is put.
        seed: Of the noise.
        cardinalities: Values of each noise field.
    """
    clean = read_frame(resolve_frame(name, home))
    if not cardinalities:
        return clean
    noisy = work / f"{name}-noise-{seed}"
    if not noisy.exists():
        write_frame(noisy, with_noise(clean, cardinalities, seed, noisy.name))
    return read_frame(noisy)


def encoded(frame: Frame, max_rows: int = 0) -> RankingData:
    """Return all splits as codes, learned from training rows.

    Args:
        frame: Opened.
        max_rows: Training rows to keep; 0 for all.
    """
    encoders = FieldEncoders.fit(frame.manifest.fields, frame.tables("train"))
    train, valid, test = (encoders.encode(frame.table(one)) for one in ("train", "valid", "test"))
    if 0 < max_rows < len(train):
        train = train.take(np.arange(max_rows))
    schema = encoders.schema(frame.manifest, FULL_WIDTH)
    return RankingData(schema, frame.manifest.planted, train, valid, test)
