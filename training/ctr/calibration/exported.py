"""An exported ranker's probabilities on the rows of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.ctr.calibration.report import CalibrationReport, Groups, HeldOut, judge
from training.ctr.judging import ITEMS
from training.ctr.predicting import raw_logits
from training.ctr.uncertainty import see_batches, stored
from vizsla.bundles.ranker import RANKER_FILE, ExportedRanker
from vizsla.cli_output import progress
from vizsla.contracts.features import FrameSplit
from vizsla.datasets.frames import Frame
from vizsla.errors import CorruptArtifactError, UsageError
from vizsla.models.ranker import Ranker, build_ranker
from vizsla.models.ranker.calibration import Calibration

__all__ = [
    "evaluate_ranker",
    "held_out",
    "item_column",
    "open_model",
    "ranker_folder",
    "stored_calibration",
]

_MOST_NUMBERS = 20
_N_PARTS = 5


def ranker_folder(path: Path) -> Path | None:
    """Return where an exported ranker lies, at a path or in the run folder there."""
    places = (path, path / "ranker")
    return next((place for place in places if (place / RANKER_FILE).is_file()), None)


def evaluate_ranker(
    exported: ExportedRanker,
    frame: Frame,
    split: FrameSplit,
    by: Sequence[str] = (),
    *,
    seed: int = 0,
) -> CalibrationReport:
    """Score the rows of a split and measure the probabilities, by segment too.

    Args:
        exported: With the calibration that it is served with.
        frame: With the fields that the ranker reads.
        split: Which rows.
        by: Fields whose values make segments.
        seed: Of the resamples.

    Raises:
        UsageError: The frame lacks a field, or one of ``by`` has several values a row.
        DataError: The split has no rows.
    """
    rows = held_out(exported, frame, split, by)
    return judge(rows, stored_calibration(exported), seed=seed)


def held_out(
    exported: ExportedRanker,
    frame: Frame,
    split: FrameSplit,
    by: Sequence[str] = (),
    trained_on: Frame | None = None,
) -> HeldOut:
    """Score the rows of a split, and group them by the values of fields.

    Args:
        exported: Whose raw logits are wanted.
        frame: With the fields that the ranker reads.
        split: Which rows.
        by: Fields whose values make segments.
        trained_on: Whose training rows count as impressions; None for ``frame``.

    Raises:
        UsageError: The frame lacks a field, or one of ``by`` has several values a row.
    """
    _check_fields(exported, frame, by)
    scored = _score(exported, frame, split)
    ref = exported.manifest.uncertainty
    item = ref.item_field if ref is not None else item_column(frame)
    return HeldOut(
        frame.manifest.name,
        split,
        scored.logits,
        scored.labels,
        items=None if ref is None else _item_nums(frame, split, ref.item_field),
        std=scored.std,
        impressions=None
        if item is None
        else _impressions(trained_on or frame, frame.table(split, [item]), item),
        groups={name: _groups(frame.table(split, [name])[name]) for name in by},
    )


def stored_calibration(exported: ExportedRanker) -> Calibration:
    """Return what a ranker is served with; the raw score where nothing was fitted."""
    manifest = exported.manifest
    return Calibration.stored(manifest.calibration, manifest.dataset.negative_ratio)


def open_model(exported: ExportedRanker) -> Ranker:
    """Return the ranker as it was trained, before any calibration, ready to score.

    Raises:
        CorruptArtifactError: The weights are not those of the model.
    """
    model = exported.manifest.model
    ranker = build_ranker(exported.schema, model.name, model.config)
    tensors = {name: torch.from_numpy(value) for name, value in exported.weights().items()}
    try:
        ranker.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CorruptArtifactError(f"{exported.path}: {reason}") from error
    return ranker.eval()


def item_column(frame: Frame) -> str | None:
    """Return the column that says which item a row shows, where there is one."""
    columns = next(frame.tables("train")).columns
    return next((name for name in ITEMS if name in columns), None)


def _check_fields(exported: ExportedRanker, frame: Frame, by: Sequence[str]) -> None:
    lists = {one.name: one.is_list for one in frame.manifest.fields}
    for one in exported.schema.kept:
        if one.spec.name not in lists:
            raise UsageError(
                f"frame {frame.manifest.name} has no field {one.spec.name!r}, which the ranker reads"
            )
    for name in by:
        if lists.get(name, True):
            known = ", ".join(one for one, is_list in lists.items() if not is_list)
            raise UsageError(f"--segment {name!r}: no field with one value a row; known: {known}")


@dataclass(frozen=True, slots=True)
class _Scored:
    """Raw logits, labels, and deviations of calibrated logits where the ranker claims any."""

    logits: NDArray[np.float32]
    labels: NDArray[np.float32]
    std: NDArray[np.float32] | None


def _score(exported: ExportedRanker, frame: Frame, split: FrameSplit) -> _Scored:
    ranker, encoders = open_model(exported), exported.encoders
    unsure = stored(exported, ranker)
    logits, labels = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    std = [np.empty(0, np.float32)]
    counts = frame.manifest.splits.get(split)
    with progress(f"scoring {split}", counts.n_rows if counts else 0, "rows") as bar:
        for table in frame.tables(split):
            truth = table["label"].cast(pl.Float32).to_numpy()
            rows = replace(encoders.encode(table), labels=truth)
            labels.append(truth)
            if unsure is None:
                logits.append(raw_logits(ranker, rows))
            else:
                item_field, uncertainty = unsure
                for piece in see_batches(ranker, rows, item_field):
                    logits.append(np.asarray(piece.logits, np.float32))
                    claimed = uncertainty.std(piece.hidden, piece.items)
                    std.append(claimed.astype(np.float32))
            bar.advance(len(rows))
    both = np.concatenate(logits), np.concatenate(labels)
    return _Scored(*both, None if unsure is None else np.concatenate(std))


def _item_nums(frame: Frame, split: FrameSplit, item: str) -> NDArray[np.int32]:
    """Return ``(M,)`` a number per item: new items share a code, and are not one item."""
    column = frame.table(split, [item])[item].cast(pl.String).fill_null("")
    return column.rank("dense").cast(pl.Int32).to_numpy() - 1


def _impressions(trained_on: Frame, rows: pl.DataFrame, item: str) -> NDArray[np.int64]:
    """Return ``(M,)`` how often each row's item occurs in training rows."""
    counted = [table[item].value_counts() for table in trained_on.tables("train", [item])]
    totals = pl.concat(counted).group_by(item).agg(pl.col("count").sum())
    shown = rows.join(totals, on=item, how="left", maintain_order="left")
    return shown["count"].fill_null(0).cast(pl.Int64).to_numpy()


def _groups(column: pl.Series) -> Groups:
    """Return the values of a column, or its fifths where it has many numbers."""
    if column.dtype.is_numeric() and column.n_unique() > _MOST_NUMBERS:
        return _fifths(column.cast(pl.Float64).to_numpy())
    texts = column.cast(pl.String).fill_null("(none)")
    names = sorted(texts.unique().to_list())
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[text] for text in texts], np.int64), names


def _fifths(numbers: NDArray[np.float64]) -> Groups:
    """Return which fifth of the known numbers each lies in, NaN in a group of its own."""
    known = ~np.isnan(numbers)
    ends = np.quantile(numbers[known], np.linspace(0, 1, _N_PARTS + 1))
    edges = np.unique(ends[1:-1])
    groups = np.searchsorted(edges, numbers, side="right")
    bounds = [ends[0], *edges, ends[-1]]
    names = [f"{low:g} to {high:g}" for low, high in pairwise(bounds)]
    return np.where(known, groups, len(names)), [*names, "(none)"]
