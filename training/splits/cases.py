"""Evaluation queries out of labelled events.

Shapes: **E** events, **U** users, **Q** queries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data import EvalCases, Ragged
from training.splits.labels import random_rank
from training.splits.log import EventLog
from training.splits.spec import SplitSpec
from vizsla.contracts.features import DatasetManifest
from vizsla.rng import numpy_generator

__all__ = ["cases_of_held_out_users", "cases_of_part", "sample_rows"]


def cases_of_part(
    log: EventLog,
    labels: NDArray[np.int8],
    part: int,
    manifest: DatasetManifest,
    spec: SplitSpec,
) -> EvalCases:
    """Return a query for every user with something before ``part`` and something in it.

    Args:
        log: The events.
        labels: ``(E,)`` int8; what is below ``part`` is the past of this part.
        part: ``VALIDATION`` or ``TEST``.
        manifest: Says whether there is an order and whether items repeat.
        spec: Length of histories and seed.

    Returns:
        Q queries in order of users; the history is the latest items, or where there is no
        order a seeded sample; all past items count as seen unless items repeat.
    """
    past, targets = log.rows(labels < part), log.rows(labels == part)
    rows = np.flatnonzero((past.lengths > 0) & (targets.lengths > 0))
    past, targets = past.take(rows), targets.take(rows)
    seen = Ragged.empty(len(rows)) if manifest.repeats else past
    return EvalCases(rows, _histories(past, part, manifest, spec), targets, seen)


def cases_of_held_out_users(
    log: EventLog,
    labels: NDArray[np.int8],
    part: int,
    manifest: DatasetManifest,
    spec: SplitSpec,
) -> EvalCases:
    """Return queries for users that training never sees: their earlier items ask for the next.

    Args:
        log: The events.
        labels: ``(E,)`` int8.
        part: ``VALIDATION`` or ``TEST``; all events of its users are in it.
        manifest: Says whether items repeat.
        spec: ``targets`` says whether a user asks once, for the last item, or at every step.

    Returns:
        Q queries with one target each, in order of users and time; users with one event ask
        nothing.
    """
    rows = log.rows(labels == part)
    places = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)
    users = np.repeat(np.arange(len(rows)), rows.lengths)
    asks = places > 0
    if spec.targets == "last":
        asks &= places == rows.lengths[users] - 1
    at, before = np.flatnonzero(asks), places[asks]
    kept = np.minimum(before, spec.max_history)
    return EvalCases(
        users[at],
        rows.slices(at - kept, kept),
        rows.slices(at, np.ones_like(at)),
        Ragged.empty(len(at)) if manifest.repeats else rows.slices(at - before, before),
    )


def _histories(past: Ragged, part: int, manifest: DatasetManifest, spec: SplitSpec) -> Ragged:
    if manifest.order != "none":
        return past.tail(spec.max_history)
    return sample_rows(past, spec.max_history, numpy_generator(spec.seed, "history", part))


def sample_rows(rows: Ragged, size: int, rng: np.random.Generator) -> Ragged:
    """Keep at most ``size`` random values of each row, in the order they had."""
    row_of = np.repeat(np.arange(len(rows)), rows.lengths)
    keep = random_rank(row_of, rows.lengths, rng) < size
    return Ragged.from_groups(row_of[keep], rows.values[keep], len(rows))
