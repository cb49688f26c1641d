"""Side features as integer codes.

Shapes: **R** rows (items or users), **F** single-valued columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from training.data import EncodedFeatures, Ragged
from vizsla.contracts.features import SideFeature
from vizsla.vocabulary import Vocabulary

__all__ = ["N_BUCKETS", "bucket_labels", "columns_of", "encode_features"]

N_BUCKETS = 16
"""Most buckets of a numeric column; fewer where values repeat."""


def encode_features(
    table: pl.DataFrame | None, key: str, rows: Vocabulary, features: Sequence[SideFeature]
) -> EncodedFeatures | None:
    """Encode the further columns of items or users; None where there is nothing to encode.

    Args:
        table: The table, or None.
        key: Its identifier column; the first row of an identifier counts.
        rows: Identifiers in the wanted order; those without a row get code 0 throughout.
        features: Columns and their roles; ``text`` and ``ignored`` are left out.
    """
    used = [f for f in features if f.role in ("categorical", "numeric", "multi_valued")]
    if table is None or not used:
        return None
    ids = pl.DataFrame({key: pl.Series(rows.ids(), dtype=pl.String)})
    aligned = ids.join(
        table.unique(key, keep="first", maintain_order=True),
        on=key,
        how="left",
        maintain_order="left",
    )
    singles = [f for f in used if f.role != "multi_valued"]
    multis = [f.name for f in used if f.role == "multi_valued"]
    encoded = {f.name: _single(aligned[f.name], f.role) for f in singles}
    bags = {name: _bags(aligned[name]) for name in multis}
    return EncodedFeatures(
        names=tuple(encoded),
        values={name: values for name, (values, _) in (encoded | bags).items()},
        codes=_columns([codes for _, codes in encoded.values()], len(rows)),
        numeric=frozenset(f.name for f in singles if f.role == "numeric"),
        multi_names=tuple(multis),
        multi=tuple(bag for _, bag in bags.values()),
    )


def columns_of(items: pl.DataFrame, ids: Vocabulary) -> pa.Table:
    """Return the items' own columns as they came, one row per identifier, null where unknown."""
    wanted = pl.DataFrame({"item_id": ids.ids()}, schema={"item_id": pl.String})
    rows = wanted.join(items, on="item_id", how="left", maintain_order="left")
    return rows.drop("item_id").to_arrow()


def _columns(codes: Sequence[NDArray[np.int64]], n_rows: int) -> NDArray[np.int64]:
    return np.stack(codes, axis=1) if codes else np.empty((n_rows, 0), np.int64)


def _single(column: pl.Series, role: str) -> tuple[list[str], NDArray[np.int64]]:
    if role == "numeric":
        return _buckets(column.cast(pl.Float64).fill_nan(None))
    return _categories(column.cast(pl.String))


def _categories(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    values = column.drop_nulls().unique().sort()
    codes = column.cast(pl.Enum(values)).to_physical().cast(pl.Int64) + 1
    return values.to_list(), codes.fill_null(0).to_numpy()


def _bags(column: pl.Series) -> tuple[list[str], Ragged]:
    lists = column.cast(pl.List(pl.String)).list.drop_nulls()
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    values, codes = _categories(lists.drop_nulls().explode(empty_as_null=False))
    return values, Ragged(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), codes)


def _buckets(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    known = column.drop_nulls().to_numpy()
    if not len(known):
        return [], np.zeros(len(column), np.int64)
    quantiles = np.quantile(known, np.arange(1, N_BUCKETS) / N_BUCKETS, method="higher")
    # a cut at the minimum would leave an empty first bucket
    cuts = np.unique(quantiles[quantiles > known.min()])
    filled = column.fill_null(0.0).to_numpy()
    codes = np.searchsorted(cuts, filled, side="right") + 1
    return bucket_labels(cuts), np.where(column.is_null().to_numpy(), 0, codes)


def bucket_labels(cuts: NDArray[np.float64]) -> list[str]:
    """Name the half-open buckets between ascending cuts.

    Example:
        >>> bucket_labels(np.array([18.0, 25.5]))
        ['[-inf, 18)', '[18, 25.5)', '[25.5, inf)']
    """
    edges = [float("-inf"), *cuts.tolist(), float("inf")]
    names = [str(edge).removesuffix(".0") for edge in edges]
    return [f"[{low}, {high})" for low, high in pairwise(names)]
