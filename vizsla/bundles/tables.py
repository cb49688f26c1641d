"""A bundle's item tables on disk: one plain array per table, mapped when read.

::

    tables/0.npy         item vectors; left out in float32, where item_vectors.npy is the same
    tables/1.npy ...     the further tables
    tables/1.scale.npy   of int8 tables: (N,) float32, what each row is multiplied with

bfloat16 is stored as its bit patterns (uint16).  Replicas on one machine share the pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.bundles.bundle import Bundle
from vizsla.bundles.layout import TABLES_DIR
from vizsla.contracts.tables import STORED, ItemTables, TableDtype, TablesManifest, narrowed
from vizsla.errors import CorruptArtifactError

__all__ = ["narrowed_tables", "read_tables", "table_files", "write_tables"]

_ROWS_AT_ONCE = 65_536


def read_tables(bundle: Bundle) -> ItemTables | None:
    """Map a bundle's tables; None where it has none.

    Raises:
        CorruptArtifactError: A file is missing or not what the manifest says.
    """
    manifest = bundle.manifest.tables
    if manifest is None:
        return None
    arrays, scales = [], []
    for number in range(manifest.n_tables):
        arrays.append(_table(bundle, manifest, number))
        scales.append(_scales(bundle, manifest, number))
    return ItemTables(tuple(arrays), tuple(scales), manifest.dtype)


def write_tables(folder: Path, further: list[NDArray[np.float32]]) -> None:
    """Write float32 tables, all but the item vectors, into a new folder."""
    folder.mkdir()
    for number, table in enumerate(further, start=1):
        np.save(folder / f"{number}.npy", np.ascontiguousarray(table), allow_pickle=False)


def narrowed_tables(tables: ItemTables, dtype: TableDtype, folder: Path) -> Iterator[float]:
    """Write float32 tables as another type, in pieces; yield the share done after each."""
    folder.mkdir(parents=True)
    starts = range(0, tables.n_items, _ROWS_AT_ONCE)
    total = len(starts) * len(tables.arrays)
    for number, table in enumerate(tables.arrays):
        into = _new(folder / f"{number}.npy", table.shape, STORED[dtype])
        scales = np.empty(len(table), np.float32)
        for done, start in enumerate(starts, start=number * len(starts) + 1):
            rows = slice(start, start + _ROWS_AT_ONCE)
            into[rows], own = narrowed(np.asarray(table[rows]), dtype)
            if len(own):
                scales[rows] = own
            yield done / total
        into.flush()
        if dtype == "int8":
            np.save(folder / f"{number}.scale.npy", scales, allow_pickle=False)


def table_files(manifest: TablesManifest) -> list[str]:
    """Return the names of the files within a bundle, in no order."""
    first = 1 if manifest.dtype == "float32" else 0
    numbers = range(first, manifest.n_tables)
    names = [f"{TABLES_DIR}/{number}.npy" for number in numbers]
    if manifest.dtype == "int8":
        names += [f"{TABLES_DIR}/{number}.scale.npy" for number in numbers]
    return names


def _table(bundle: Bundle, manifest: TablesManifest, number: int) -> NDArray[Any]:
    if manifest.dtype == "float32" and number == 0:
        return bundle.item_vectors()
    name = f"{TABLES_DIR}/{number}.npy"
    return _mapped(bundle, name, STORED[manifest.dtype])


def _scales(bundle: Bundle, manifest: TablesManifest, number: int) -> NDArray[np.float32]:
    if manifest.dtype != "int8":
        return np.empty(0, np.float32)
    return _mapped(bundle, f"{TABLES_DIR}/{number}.scale.npy", np.float32)


def _mapped(bundle: Bundle, name: str, dtype: Any) -> NDArray[Any]:
    path = bundle.path / name
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CorruptArtifactError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    if array.dtype != dtype or array.shape[:1] != (bundle.manifest.n_items,):
        raise CorruptArtifactError(
            f"{path}: {array.dtype}{array.shape}, expected {np.dtype(dtype)} with "
            f"{bundle.manifest.n_items} rows"
        )
    return np.asarray(array)


def _new(path: Path, shape: tuple[int, ...], dtype: Any) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
