"""Puts an exported ranker into a bundle, and finds the values of its item fields there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.bundles.bundle import Bundle
from vizsla.bundles.layout import RANKER_DIR
from vizsla.bundles.ranker import ExportedRanker, RankerParts, write_ranker
from vizsla.bundles.write import derive
from vizsla.clock import Clock
from vizsla.contracts.bundle import RankerEntry
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankingSchema
from vizsla.contracts.tables import TableDtype, narrowed
from vizsla.errors import UsageError

__all__ = ["attach_ranker", "item_tables", "narrow_weights", "number_in", "ranker_columns"]

_ROWS_AT_ONCE = 65_536
_TABLES = "embeddings.tables."
_BUCKET = re.compile(r"^\[(-?[\d.]+(?:e[-+]?\d+)?), ")


def attach_ranker(
    bundle: Bundle,
    ranker: ExportedRanker,
    parent: Path,
    *,
    clock: Clock,
    dtype: TableDtype = "float32",
    columns: Mapping[str, str] | None = None,
) -> Bundle:
    """Write a new bundle: the given one with a ranker in place of any that it had.

    A bundle in ``parent`` that has this very ranker is returned as it is.

    Args:
        bundle: Not in shards; it becomes ``parent`` of the new one.
        ranker: With all its kept item fields among the bundle's item columns.
        parent: The directory that the new bundle is written into.
        clock: For ``created_at``.
        dtype: How embedding tables, and at serving the items' side, are stored.
        columns: Item field to the column that holds it, where their names differ.

    Raises:
        UsageError: The bundle is in shards, or an item field has no column.
        DataError: A column's type does not fit its field.
    """
    if bundle.manifest.shards is not None:
        raise UsageError(
            f"{bundle.path} is in shards; attach the ranker to the bundle it was made from, "
            "and run: vizsla index shard"
        )
    found = ranker_columns(ranker.schema, bundle, columns or {})
    for table in item_tables(bundle, ranker.schema, found):
        ranker.encoders.encode(table)
    with TemporaryDirectory(dir=bundle.path.parent, prefix=".ranker.") as name:
        written = write_ranker(Path(name) / RANKER_DIR, _stored_as(ranker, dtype))
        names = [*written.manifest.files, "ranker.json"]
        files = {f"{RANKER_DIR}/{one}": written.path / one for one in names}
        entry = RankerEntry(
            content_hash=written.manifest.content_hash,
            model=written.manifest.model.name,
            frame=written.manifest.dataset.name,
            schema_id=written.schema.schema_id,
            dtype=dtype,
            columns=found,
        )
        if entry == bundle.manifest.ranker and parent.resolve() == bundle.path.parent.resolve():
            return bundle
        plain = _without_ranker(bundle)
        facts = {"ranker": entry}
        return derive(
            plain, parent, files=files, index=bundle.manifest.index, clock=clock, facts=facts
        )


def ranker_columns(
    schema: RankingSchema, bundle: Bundle, given: Mapping[str, str]
) -> dict[str, str]:
    """Return the item column of every kept item field: the one given, else the one of its name.

    A column for an item field that a search has dropped is not needed and not refused: one command
    serves every search of a frame.

    Raises:
        UsageError: There is no such column, or no such item field; names them all.
    """
    fields = [one.spec.name for one in schema.kept if one.spec.owner == "item"]
    declared = {one.spec.name for one in schema.fields if one.spec.owner == "item"}
    strange = sorted(set(given) - declared)
    if strange:
        raise UsageError(f"{', '.join(strange)}: no item field of this ranker")
    found = {name: given.get(name, name) for name in fields}
    missing = [name for name, column in found.items() if column not in bundle.items.column_names]
    if missing:
        known = ", ".join(bundle.items.column_names)
        raise UsageError(
            f"items.parquet has no column for the ranker's item fields {', '.join(missing)}; "
            f"say which column holds each with --column FIELD=COLUMN, or train without them "
            f"(columns: {known})"
        )
    return found


def item_tables(
    bundle: Bundle, schema: RankingSchema, columns: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    """Yield the items' fields in row order, some thousand items at a time."""
    specs = {one.spec.name: one.spec for one in schema.kept}
    for start in range(0, bundle.manifest.n_items, _ROWS_AT_ONCE):
        rows = bundle.items.slice(start, _ROWS_AT_ONCE)
        yield pl.DataFrame(
            [
                _column(specs[name], pl.Series(name, rows.column(column)))
                for name, column in columns.items()
            ]
        )


def narrow_weights(weights: Mapping[str, NDArray[Any]], dtype: TableDtype) -> dict[str, Any]:
    """Return a ranker's tensors with the embedding tables stored as another type.

    int8 brings a tensor ``...scale`` beside each table; what is no table stays as it is.

    Raises:
        UsageError: Tables are narrow already.
    """
    stored: dict[str, Any] = {}
    for name, array in weights.items():
        if name.startswith(_TABLES) and array.dtype != np.float32:
            raise UsageError(
                f"the ranker's tables are stored as {array.dtype}, which cannot be undone: "
                "attach it from the run that trained it"
            )
        if not name.startswith(_TABLES):
            stored[name] = array
            continue
        stored[name], scale = narrowed(np.asarray(array, np.float32), dtype)
        if len(scale):
            stored[name.removesuffix("weight") + "scale"] = scale
    return stored


def number_in(text: str) -> float | None:
    """Return the number that a text is, or begins a bucket with; None for any other text.

    Example:
        >>> [number_in(text) for text in ("25", "[23, 25.5)", "[-1e+30, 4)", "old")]
        [25.0, 23.0, -1e+30, None]
    """
    bucket = _BUCKET.match(text)
    try:
        return float(bucket.group(1) if bucket else text)
    except ValueError:
        return None


def _column(spec: FieldSpec, column: pl.Series) -> pl.Series:
    if spec.kind != "numeric" or column.dtype != pl.String:
        return column
    values = [None if text is None else number_in(text) for text in column.to_list()]
    return pl.Series(column.name, values, pl.Float64)


def _stored_as(ranker: ExportedRanker, dtype: TableDtype) -> RankerParts:
    manifest = ranker.manifest
    return RankerParts(
        model=manifest.model,
        schema=ranker.schema,
        weights=narrow_weights(ranker.weights(), dtype),
        encoders=ranker.encoders,
        golden=ranker.golden(),
        dataset=manifest.dataset,
        metrics=manifest.metrics,
        calibration=manifest.calibration,
        uncertainty=ranker.uncertainty(),
        importance=ranker.importance(),
    )


def _without_ranker(bundle: Bundle) -> Bundle:
    """Leave an earlier ranker's files behind; the parent is still the bundle with it."""
    kept = {
        name: entry
        for name, entry in bundle.manifest.files.items()
        if not name.startswith(f"{RANKER_DIR}/")
    }
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"files": kept}))
