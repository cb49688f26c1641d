"""Rivals that train the full model first and look at what it has learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.ctr.metrics import evaluate
from training.ctr.predicting import predict
from training.razor.prune import last_where
from training.razor.rivals.task import RivalTask, Widths
from vizsla.contracts.ranking import RankingSchema
from vizsla.fields import EncodedRows
from vizsla.models.ranker import FieldEmbeddings, Ranker
from vizsla.models.ranker.embeddings import places_of
from vizsla.rng import numpy_generator

__all__ = ["by_rank", "magnitude", "permutation"]

SELECTED_WIDTHS = (1, 2, 4, 8, 16)


def magnitude(task: RivalTask) -> RankingSchema:
    """Keep the columns of the trained full model with the largest norms, over all fields at once.

    The norm is the root mean square over the rows of the table, so that long tables have no
    advantage; the threshold is global.
    """
    norms = _column_norms(task.train(task.schema).ranker, task)
    pairs = [(norm, name) for name, columns in norms.items() for norm in columns]
    order = [name for _, name in sorted(pairs, key=lambda pair: -pair[0])]
    sizes = np.cumsum([_codes(task)[name] for name in order])
    kept = order[: int(np.searchsorted(sizes, task.budget, side="right"))]
    return task.schema_of("magnitude", {name: kept.count(name) for name in task.owners})


def permutation(task: RivalTask) -> RankingSchema:
    """Keep the fields whose shuffling hurts the trained full model most, at a common width.

    Shuffled are validation rows; validation also chooses the width, and with it how many fit.
    """
    ranker = task.train(task.schema).ranker
    names = [field.spec.name for field in task.schema.fields]
    losses = {name: _shuffled_loss(ranker, task, name) for name in names}
    order = sorted(names, key=lambda name: -losses[name])
    return task.best(
        [by_rank(task, "permutation", order, width) for width in _possible(task, order)]
    )


def by_rank(task: RivalTask, method: str, order: list[str], width: int) -> RankingSchema:
    """Return the schema of as many of the best fields as fit at a width."""
    count = last_where(len(order) + 1, lambda n: task.fits(_first(task, order[:n], width)))
    return task.schema_of(method, _first(task, order[:count], width), width=width)


def _possible(task: RivalTask, order: list[str]) -> list[int]:
    """Return the widths at which the best field fits."""
    widths = [w for w in SELECTED_WIDTHS if task.fits(_first(task, order[:1], w))]
    return widths or [1]


def _first(task: RivalTask, names: list[str], width: int) -> Widths:
    """Return widths that keep some fields, and the tables that they read."""
    kept = set(names)
    owners = {
        one.spec.shares or one.spec.name for one in task.schema.fields if one.spec.name in kept
    }
    return {
        one.spec.name: width if one.spec.name in kept | owners else 0 for one in task.schema.fields
    }


def _codes(task: RivalTask) -> dict[str, int]:
    return {one.spec.name: one.n_codes for one in task.schema.fields}


def _column_norms(ranker: Ranker, task: RivalTask) -> dict[str, list[float]]:
    assert isinstance(ranker.embeddings, FieldEmbeddings)
    places, codes = places_of(task.schema), _codes(task)
    found = {}
    for name in task.owners:
        width, first = places[name]
        table = ranker.embeddings.tables[str(width)].weight
        rows = table.detach()[first : first + codes[name]]  # type: ignore[operator]
        found[name] = rows.square().mean(0).sqrt().tolist()
    return found


def _shuffled_loss(ranker: Ranker, task: RivalTask, name: str) -> float:
    """Return the log loss of validation rows of which one field is another row's."""
    order = numpy_generator(task.seed, "rival", "permutation", name).permutation(len(task.valid))
    rows = _shuffled(task.valid, name, order)
    assert rows.labels is not None
    return evaluate(rows.labels, predict(ranker, rows))["log_loss"]


def _shuffled(rows: EncodedRows, name: str, order: NDArray[np.int64]) -> EncodedRows:
    if name in rows.single:
        return replace(rows, single={**rows.single, name: rows.single[name][order]})
    return replace(rows, lists={**rows.lists, name: rows.lists[name].take(order)})
