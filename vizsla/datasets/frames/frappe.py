"""Frappe: which app in which context; logs against random apps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldOwner, FieldSpec
from vizsla.datasets.frames.base import FrameOptions, FrameSource, by_random, parts
from vizsla.datasets.frames.storage import FrameDraft
from vizsla.datasets.text import read_delimited
from vizsla.errors import DataError
from vizsla.rng import numpy_generator

__all__ = ["SOURCE"]

FILE = "frappe.csv"
FILE_COLUMNS = [
    "user", "item", "cnt", "daytime", "weekday", "isweekend", "homework", "cost", "weather",
    "country", "city",
]  # fmt: skip
OWNERS: dict[str, FieldOwner] = {"user": "user", "item": "item", "cost": "item"}
FIELDS = [
    FieldSpec(name=name, owner=OWNERS.get(name, "context"))
    for name in FILE_COLUMNS
    if name != "cnt"
]
NEGATIVES_PER_LOG = 2
SHARES = (0.7, 0.2, 0.1)
MAX_DRAWS = 1_000
LICENCE = "Frappe: research use, acknowledge (Baltrunas et al. 2015), no redistribution, no commercial use"


def _draft(folder: Path, options: FrameOptions) -> FrameDraft:
    logs = read_delimited(folder / FILE, FILE_COLUMNS, "\t", skip_rows=1).drop("cnt")
    rows = _labelled(logs, options.seed)
    manifest = TrainingFrame(
        name=SOURCE.name,
        source=f"{SOURCE.origin}; negatives and split drawn with seed {options.seed}",
        licence=SOURCE.licence,
        label_rule=(
            f"1 for a log, 0 for each of {NEGATIVES_PER_LOG} uniformly random apps per log that "
            "the user has no log of in the same context"
        ),
        fields=FIELDS,
        splits={},
        content_hash="",
    )
    text = rows.with_columns(pl.exclude("label").cast(pl.String))
    return FrameDraft(manifest, parts(text, by_random(rows.height, options.seed, SHARES)))


def _labelled(logs: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return every log, and after it the apps that stand for what was not chosen."""
    n_logs = logs.height
    apps = logs["item"].unique().sort()
    item = apps.search_sorted(logs["item"]).to_numpy().astype(np.int64)
    context = logs.select(pl.struct(pl.exclude("item")).rank("dense"))["user"].to_numpy()
    known = np.unique(context.astype(np.int64) * len(apps) + item)
    wanted = np.repeat(context.astype(np.int64) * len(apps), NEGATIVES_PER_LOG)
    drawn = _unlogged(wanted, known, len(apps), seed).reshape(n_logs, NEGATIVES_PER_LOG)
    items = np.concatenate([item[:, None], drawn], axis=1).ravel()
    labels = np.tile([1, *[0] * NEGATIVES_PER_LOG], n_logs)
    repeated = logs.select(pl.all().repeat_by(1 + NEGATIVES_PER_LOG).explode())
    return repeated.with_columns(
        apps.gather(items).alias("item"), pl.Series("label", labels, pl.Float32)
    )


def _unlogged(
    contexts: NDArray[np.int64], known: NDArray[np.int64], n_apps: int, seed: int
) -> NDArray[np.int64]:
    """Draw an app per context, again and again where it is one that was logged there.

    Args:
        contexts: ``(D,)`` number of the context times ``n_apps``.
        known: Context plus app of all logs, ascending.
        n_apps: Number of apps.
        seed: Of the draws.
    """
    rng = numpy_generator(seed, "frappe", "negatives")
    drawn = np.empty(len(contexts), np.int64)
    open_ = np.arange(len(contexts))
    for _ in range(MAX_DRAWS):
        drawn[open_] = rng.integers(n_apps, size=len(open_))
        keys = contexts[open_] + drawn[open_]
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        open_ = open_[known[places] == keys]
        if not len(open_):
            return drawn
    raise DataError(
        f"{FILE}: a user has logs of nearly all apps in one context; no negative is left"
    )


SOURCE = FrameSource(
    name="frappe",
    title="Frappe: 96,203 app logs in context and two random apps for each, 288,609 rows, 10 fields",
    origin="irecsys/CARSKit, context-aware_data_sets/Mobile_Frappe.zip",
    licence=LICENCE,
    files=(FILE,),
    draft=_draft,
)
