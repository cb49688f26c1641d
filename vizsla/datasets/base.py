"""What a named dataset is: where it comes from, under which licence, and how it is parsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from vizsla.contracts.features import DatasetManifest, Order, SideFeature

__all__ = [
    "LINE",
    "Dataset",
    "DatasetSource",
    "FileSource",
    "OnBad",
    "Progress",
    "Tables",
    "silent",
]

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, units done so far, and units in all (None if unknown)."""

OnBad = Callable[[int, str, str], None]
"""Called with the number of a line that is no row, the reason, and the line itself."""

LINE = "__line"
"""Column that every batch of a customer's file carries: the row's number in it, UInt64."""


def silent(_label: str, _done: int, _total: int | None) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The three tables of a dataset, with the columns of ``vizsla.contracts.features``.

    Attributes:
        interactions: One row per event, in the order of the source.
        items: One row per item.
        users: One row per user, or None where the source describes no users.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset directory read into memory."""

    manifest: DatasetManifest
    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None


class FileSource(Protocol):
    """Something that is made out of files; see ``DatasetSource`` for the attributes."""

    @property
    def name(self) -> str:
        """Name in its registry."""
        ...

    @property
    def origin(self) -> str:
        """Where the files come from."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def download(self) -> Callable[[Path, Progress], None] | None:
        """Puts them into an empty folder."""
        ...


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A registered dataset.

    Attributes:
        name: Name in the registry and of the dataset directory.
        title: One line for ``vizsla data list``.
        origin: Where the data comes from, for people.
        licence: What its owners allow, in a sentence or two.
        files: Files that a folder given with ``--from`` must hold, each as it is or as
            ``.gz``; ``a|b`` stands for either; empty where the data is generated.
        parse: Reads the tables out of such a folder.
        order: Meaning of ``event_timestamp``.
        given_split: Whether the source brings its own ``split`` column.
        repeats: Whether a user meets the same item again.
        item_features: Roles of the further item columns.
        user_features: Roles of the further user columns.
        download: Puts the files into an empty folder; None where no open source exists.
    """

    name: str
    title: str
    origin: str
    licence: str
    files: tuple[str, ...]
    parse: Callable[[Path], Tables]
    order: Order
    given_split: bool = False
    repeats: bool = False
    item_features: tuple[SideFeature, ...] = ()
    user_features: tuple[SideFeature, ...] = ()
    download: Callable[[Path, Progress], None] | None = None
