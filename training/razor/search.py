"""i-Razor: learn which fields, and how many columns of each, a ranker needs; one pass.

Every field has a vector of full width whose columns are divided into regions. A softmax over the
regions fades the columns, and its inputs are learned together with everything else.

Differs from the released code where that errs: vectors are normalised for real and field by
field, so that the mask alone decides their size; and the first-order term of a field fades with
the field, as it will be gone with it.

References:
    Yao et al., "i-Razor: A Differentiable Neural Input Razor for Feature Selection and Dimension
    Search in DNN-Based Recommender Systems", arXiv 2204.00281.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam, Optimizer

from training.razor.passes import (
    Progress,
    batch_rows,
    check_labels,
    label_loss,
    optimisers,
    step,
    tensors,
)
from training.razor.result import SearchResult
from training.razor.settings import RazorSettings
from training.razor.supernet import RazorEmbeddings, regions, widened
from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import DataError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import RANKERS, Ranker
from vizsla.models.ranker.base import Backbone
from vizsla.models.recommender.layers import initialise
from vizsla.rng import numpy_generator, torch_generator

__all__ = ["SupernetRun", "chosen", "search", "supernet", "train_supernet"]

_PER_COLUMN = 0.01


@dataclass(slots=True)
class SupernetRun:
    """A supernet, what it learns from, and how far it is.

    Attributes:
        schema: Fields at full width, by name.
        rows: Training rows.
        settings: Of the search.
        seed: Of weights and order.
        progress: Told after every step.
        model: The supernet.
        embeddings: Its faded tables.
        losses: Of every step.
        n_rows: Rows that were read.
    """

    schema: RankingSchema
    rows: EncodedRows
    settings: RazorSettings
    seed: int
    progress: Progress | None
    model: Ranker
    embeddings: RazorEmbeddings
    losses: list[float] = field(default_factory=list)
    n_rows: int = 0


def search(
    schema: RankingSchema,
    rows: EncodedRows,
    settings: RazorSettings,
    seed: int,
    *,
    progress: Progress | None = None,
) -> SearchResult:
    """Search the width of every field.

    Args:
        schema: Fields and their sizes; which order and how wide does not matter.
        rows: Labelled training rows; no others, or later figures mean nothing.
        settings: Of the search.
        seed: Fixes initial weights and the order of rows.
        progress: Told after every step.

    Raises:
        DataError: Rows have no labels, or all the same.
        TrainingError: The loss became infinite.
    """
    masks = regions(settings.widths)
    started = time.perf_counter()
    run = train_supernet(schema, masks, rows, settings, seed, progress)
    took = time.perf_counter() - started
    return _result(run, schema, took)


def train_supernet(
    schema: RankingSchema,
    masks: Tensor,
    rows: EncodedRows,
    settings: RazorSettings,
    seed: int,
    progress: Progress | None = None,
) -> SupernetRun:
    """Learn which of the ``(K, W)`` masks suits each field; the razor's are regions of columns.

    Raises:
        DataError: Rows have no labels, or all the same.
        TrainingError: The loss became infinite.
    """
    check_labels(rows)
    wide = widened(schema, masks.shape[1])
    model, embeddings = supernet(wide, masks, settings, seed)
    run = SupernetRun(wide, rows, settings, seed, progress, model, embeddings)
    _train(run)
    return run


def supernet(
    schema: RankingSchema, masks: Tensor, settings: RazorSettings, seed: int
) -> tuple[Ranker, RazorEmbeddings]:
    """Return a ranker with faded tables, all weights drawn by the seed."""
    embeddings = RazorEmbeddings(
        schema,
        masks,
        batch_norm=settings.batch_norm,
        gate_first_order=settings.gate_first_order,
    )
    embeddings.temperature = settings.temperature
    backbone = _backbone(schema, settings)
    model = Ranker(schema, backbone, embeddings)
    embeddings.reset_parameters(seed)

    initialise(backbone, torch_generator(seed, "backbone"))
    return model, embeddings


def _backbone(schema: RankingSchema, settings: RazorSettings) -> Backbone:
    kind = RANKERS.load(settings.backbone)
    layers = {"hidden": settings.hidden, "layer_norm": settings.layer_norm}
    known = kind.config_class.model_fields
    config = kind.config_class(**{name: one for name, one in layers.items() if name in known})
    made: Backbone = kind(schema, config)
    return made


def _train(run: SupernetRun) -> None:
    own, held = _divided(run)
    batches = _n_batches(len(own), run.settings.batch_size) * run.settings.passes
    joint = not len(held)
    without = () if joint else (run.embeddings.importances,)
    weights = optimisers(run.model, run.settings.learning_rate, without)
    choices: list[Optimizer] = [Adam([run.embeddings.importances], lr=run.settings.learning_rate)]
    generator = numpy_generator(run.seed, "rows")
    done = 0
    run.model.train()
    for _ in range(run.settings.passes):
        others = _others(run, held, own, generator)
        for places in batch_rows(len(own), run.settings.batch_size, generator):
            run.embeddings.temperature = _temperature(run.settings, done / batches)
            run.embeddings.learns_importances = done >= run.settings.warmup * batches
            run.losses.append(step(_loss(run, own[places], joint=joint), weights))
            for other in islice(others, 1):
                step(_loss(run, held[other], joint=True), choices)
            done += 1
            if run.progress is not None:
                run.progress(done, batches)
    run.embeddings.temperature = run.settings.temperature


def _divided(run: SupernetRun) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that weights learn from, and those that importances alone learn from."""
    order = numpy_generator(run.seed, "held-out").permutation(len(run.rows))
    n_held = round(run.settings.held_out * len(order))
    if len(order) - n_held < 2:
        raise DataError(
            f"razor.held_out={run.settings.held_out:g} leaves {len(order) - n_held} of "
            f"{len(order):,} rows to learn weights from: lower it"
        )
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def _others(
    run: SupernetRun,
    held: NDArray[np.int64],
    own: NDArray[np.int64],
    generator: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """Cut the held-out rows into as many batches as there are of the others."""
    if not len(held):
        return iter(())
    size = max(2, -(-len(held) * run.settings.batch_size // len(own)))
    return batch_rows(len(held), size, generator)


def _n_batches(n_rows: int, batch_size: int) -> int:
    whole, left = divmod(n_rows, batch_size)
    return whole + (left > 1)


def _temperature(settings: RazorSettings, part: float) -> float:
    start = settings.temperature_start or settings.temperature
    return float(start * (settings.temperature / start) ** part)


def _loss(run: SupernetRun, places: NDArray[np.int64], *, joint: bool) -> Tensor:
    inputs, labels, weights = tensors(run.schema, run.rows, places)
    run.n_rows += len(places)
    loss = label_loss(run.model(inputs), labels, weights)
    return loss + _penalty(run) if joint else loss


def _penalty(run: SupernetRun) -> Tensor:
    widths = run.embeddings.masks.sum(1)
    expected = run.embeddings.probabilities() @ widths
    return run.settings.penalty * _PER_COLUMN * (expected * _costs(run)).sum()


def _costs(run: SupernetRun) -> Tensor:
    """Return ``(F,)`` what a column of each field costs, 1 on average."""
    sizes = {one.spec.name: float(one.n_codes) for one in run.schema.fields}
    if run.settings.penalty_by == "field":
        return torch.ones(len(run.embeddings.names))
    costs = torch.tensor([sizes[name] for name in run.embeddings.names])
    return costs / costs.mean()


def _result(run: SupernetRun, schema: RankingSchema, took: float) -> SearchResult:
    by_name = chosen(run)
    fields = [
        one.model_copy(update={"dim": run.settings.widths[-1], "probabilities": ()})
        for one in schema.fields
    ]
    return SearchResult(
        schema_full=schema.model_copy(update={"fields": tuple(fields)}),
        probabilities={one.spec.name: by_name[one.spec.name] for one in schema.fields},
        settings=run.settings,
        seed=run.seed,
        n_steps=len(run.losses),
        n_rows=run.n_rows,
        losses=_tenths(run.losses),
        search_s=took,
    )


@torch.no_grad()
def chosen(run: SupernetRun) -> dict[str, tuple[float, ...]]:
    """Return the probability of every choice, by field."""
    found = run.embeddings.probabilities().double().tolist()
    return dict(zip(run.embeddings.names, map(tuple, found), strict=True))


def _tenths(losses: list[float]) -> tuple[float, ...]:
    parts = np.array_split(np.array(losses), min(10, len(losses)))
    return tuple(float(part.mean()) for part in parts)
