"""Frames as the comparisons need them: planted noise, and all splits as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import Frame, FrameOptions, fetch_frame, read_frame, write_frame
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
    name: str, source: Path, home: Path, seed: int, cardinalities: Sequence[int]
) -> Frame:
    """Return a named frame divided by a seed, with noise fields of that seed; made once."""
    own = home / f"seed-{seed}"
    clean = fetch_frame(name, own, source, options=FrameOptions(seed=seed))
    if not cardinalities:
        return read_frame(clean)
    noisy = own / f"{name}-noise"
    if not noisy.exists():
        frame = with_noise(read_frame(clean), cardinalities, seed, f"{name}-noise")
        write_frame(noisy, frame)
    return read_frame(noisy)


def encoded(frame: Frame) -> RankingData:
    """Return all splits as codes, learned from training rows."""
    encoders = FieldEncoders.fit(frame.manifest.fields, frame.tables("train"))
    splits = (encoders.encode(frame.table(split)) for split in ("train", "valid", "test"))
    train, valid, test = splits
    schema = encoders.schema(frame.manifest, FULL_WIDTH)
    return RankingData(schema, frame.manifest.planted, train, valid, test)
