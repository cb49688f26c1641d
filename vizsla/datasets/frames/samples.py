"""Display advertising in the formats of Criteo and Avazu: a few thousand rows, for smoke tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from vizsla.contracts.features import FrameSplit, TrainingFrame
from vizsla.contracts.fields import FieldOwner, FieldSpec, LogEncoding
from vizsla.datasets.frames.base import FrameOptions, FrameSource
from vizsla.datasets.frames.storage import FrameDraft
from vizsla.datasets.text import read_bytes, read_delimited

__all__ = ["AVAZU", "CRITEO"]

PARTS: tuple[tuple[FrameSplit, str], ...] = (("train", "train"), ("valid", "dev"), ("test", "test"))
NUMBERS = [f"I{n}" for n in range(1, 14)]
CATEGORIES = [f"C{n}" for n in range(1, 27)]
AVAZU_COLUMNS = [
    "id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category",
    "app_id", "app_domain", "app_category", "device_id", "device_ip", "device_model",
    "device_type", "device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21",
]  # fmt: skip


def _criteo(folder: Path, _: FrameOptions) -> FrameDraft:
    fields = [FieldSpec(name=name, kind="numeric", encoding=LogEncoding()) for name in NUMBERS]
    fields += [FieldSpec(name=name) for name in CATEGORIES]
    names = ["label", *NUMBERS, *CATEGORIES]
    rows = [
        (split, read_delimited(folder / f"wideresdnn.{part}.tsv", names, "\t"))
        for split, part in PARTS
    ]
    typed = [
        (
            split,
            one.with_columns(pl.col(NUMBERS).cast(pl.Float64), pl.col(CATEGORIES).cast(pl.String)),
        )
        for split, one in rows
    ]
    return FrameDraft(_manifest(CRITEO, fields, "clicked"), typed)


def _avazu(folder: Path, _: FrameOptions) -> FrameDraft:
    clock = ["hour", "wday", "mday"]
    columns = [name for name in AVAZU_COLUMNS if name not in ("id", "click", "hour")]
    fields = [FieldSpec(name=name, owner=_owner(name)) for name in [*columns, *clock]]
    time = (pl.col("hour").cast(pl.String) + "00").str.to_datetime("%y%m%d%H%M")
    rows = [
        (
            split,
            _avazu_part(folder / f"wideresdnn.{part}.csv").select(
                pl.col("click").cast(pl.Float32).alias("label"),
                *(pl.col(name).cast(pl.String) for name in columns),
                time.dt.hour().cast(pl.String).alias("hour"),
                time.dt.weekday().cast(pl.String).alias("wday"),
                time.dt.day().cast(pl.String).alias("mday"),
            ),
        )
        for split, part in PARTS
    ]
    return FrameDraft(_manifest(AVAZU, fields, "clicked"), rows)


def _avazu_part(path: Path) -> pl.DataFrame:
    """Read a file that may have a header line or not."""
    header = read_bytes(path)[:3] == b"id,"
    return read_delimited(path, AVAZU_COLUMNS, ",", skip_rows=int(header))


def _owner(name: str) -> FieldOwner:
    return "user" if name.startswith("device_") else "context"


def _manifest(info: FrameSource, fields: Sequence[FieldSpec], rule: str) -> TrainingFrame:
    return TrainingFrame(
        name=info.name,
        source=info.origin,
        licence=info.licence,
        label_rule=rule,
        fields=list(fields),
        splits={},
        content_hash="",
    )


CRITEO = FrameSource(
    name="criteo-sample",
    title="Criteo display ads: 8,000 rows, 13 numbers and 26 categories; format and smoke tests only",
    origin="the first rows of Kaggle's train.txt, as in Lapis-Hong/Wide-ResDNN",
    licence="Criteo: CC BY-NC-SA 4.0, terms of Kaggle; no redistribution in a product",
    files=tuple(f"wideresdnn.{part}.tsv" for _, part in PARTS),
    draft=_criteo,
)
AVAZU = FrameSource(
    name="avazu-sample",
    title="Avazu display ads: 8,999 rows of one hour, 24 categories; format and smoke tests only",
    origin="the first rows of Kaggle's train.csv, as in Lapis-Hong/Wide-ResDNN",
    licence="Avazu: terms of the Kaggle competition; no redistribution",
    files=tuple(f"wideresdnn.{part}.csv" for _, part in PARTS),
    draft=_avazu,
)
