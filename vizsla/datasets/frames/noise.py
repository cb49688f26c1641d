"""Fields of pure noise beside those of a frame: what a selection of fields has to find and drop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from vizsla.contracts.features import FrameSplit
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames.reading import Frame
from vizsla.datasets.frames.storage import SPLITS, FrameDraft
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator

__all__ = ["with_noise"]

MAX_VALUES = 100_000_000


def with_noise(frame: Frame, cardinalities: Sequence[int], seed: int, name: str) -> FrameDraft:
    """Return a frame with uniformly random fields at the end, in every split.

    Args:
        frame: What to add them to.
        cardinalities: Number of values of each new field ``noise_<number>``.
        seed: Of the values.
        name: Of the new frame.

    Raises:
        UsageError: A number cannot be used, or the frame has a field of that name.
    """
    manifest = frame.manifest
    sizes = {f"noise_{size}": size for size in cardinalities}
    taken = {field.name for field in manifest.fields} & set(sizes)
    if taken or len(sizes) < len(cardinalities) or not sizes:
        raise UsageError(
            f"--fields: give different numbers, none that {manifest.name} has as a field noise_<number>"
        )
    if min(sizes.values()) < 2 or max(sizes.values()) > MAX_VALUES:
        raise UsageError(f"--fields: each number must be from 2 to {MAX_VALUES:,}")
    new = manifest.model_copy(
        update={
            "name": name,
            "source": f"{manifest.source}; noise {', '.join(map(str, cardinalities))}, seed {seed}",
            "fields": [*manifest.fields, *(FieldSpec(name=one) for one in sizes)],
            "planted": {**manifest.planted, **dict.fromkeys(sizes, 0)},
        }
    )
    n_rows = sum(counts.n_rows for counts in manifest.splits.values())
    return FrameDraft(new, _rows(frame, sizes, seed), n_rows)


def _rows(
    frame: Frame, sizes: dict[str, int], seed: int
) -> Iterator[tuple[FrameSplit, pl.DataFrame]]:
    for split in SPLITS:
        drawers = {name: numpy_generator(seed, "noise", name, split) for name in sizes}
        for table in frame.tables(split):
            columns = [
                pl.Series(name, drawers[name].integers(size, size=table.height).astype(np.uint32))
                for name, size in sizes.items()
            ]
            yield split, table.with_columns(columns)
