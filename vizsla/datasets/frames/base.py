"""What a named training frame is, and how rows are divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.features import FrameSplit
from vizsla.datasets.base import Progress
from vizsla.datasets.frames.storage import SPLITS, FrameDraft
from vizsla.rng import numpy_generator

__all__ = ["FrameOptions", "FrameSource", "SplitBy", "by_position", "by_random", "parts"]

SplitBy = Literal["random", "time"]
SHARES = (0.8, 0.1, 0.1)


class FrameOptions(BaseModel):
    """How a named frame is made; the same options give the same bytes.

    Attributes:
        split: Whether rows are divided at random or by their time.
        seed: Of every random choice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: SplitBy = "random"
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class FrameSource:
    """A registered frame.

    Attributes:
        name: Name in the registry and of the frame directory.
        title: One line for ``vizsla data list``.
        origin: Where the data comes from, for people.
        licence: What its owners allow.
        files: Files that a folder given with ``--from`` must hold, as in ``DatasetSource``.
        draft: Makes the frame out of such a folder and of options.
        options: Their class.
        splits: How it can be divided; the first is the default.
        download: Puts the files into an empty folder; None where no open source exists.
    """

    name: str
    title: str
    origin: str
    licence: str
    files: tuple[str, ...]
    draft: Callable[[Path, Any], FrameDraft]
    options: type[BaseModel] = FrameOptions
    splits: tuple[SplitBy, ...] = ("random",)
    download: Callable[[Path, Progress], None] | None = None


def by_random(n_rows: int, seed: int, shares: tuple[float, float, float] = SHARES) -> pl.Series:
    """Return a split for each row, by a seeded permutation."""
    places = numpy_generator(seed, "frame", "split").permutation(n_rows)
    return by_position(pl.Series(places), n_rows, shares)


def by_position(
    places: pl.Series, n_rows: int | pl.Series, shares: tuple[float, float, float] = SHARES
) -> pl.Series:
    """Return a split for each row by its place among ``n_rows``: the first shares are training.

    Example:
        >>> by_position(pl.Series([0, 9, 8, 1]), 10).to_list()
        ['train', 'test', 'valid', 'train']
    """
    total = sum(shares)
    ends = np.cumsum(shares)[:2] / total
    # half a row of slack, so that 0.1 of 10 is one row whatever the rounding
    portion = (places.to_numpy() + 0.5) / np.asarray(n_rows)
    return pl.Series("split", np.asarray(SPLITS)[np.searchsorted(ends, portion, side="right")])


def parts(table: pl.DataFrame, split: pl.Series) -> list[tuple[FrameSplit, pl.DataFrame]]:
    """Divide a table into its splits."""
    return [(name, table.filter(split == name)) for name in SPLITS]
