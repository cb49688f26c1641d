"""OptEmbed: which values deserve a vector, and how wide each field is.

A supernet of random widths learns a threshold per field beside its weights, see ``values``. It
sees every width of every field by chance, so any choice can be judged without training; evolution
looks for the best within the budget, in which values that were cut cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.ctr.metrics import evaluate
from training.razor.passes import batch_rows, check_labels, label_loss, optimisers, step, tensors
from training.razor.rivals.task import RivalTask, Widths
from training.razor.rivals.values import ThresholdTable, cut_schema, packed
from training.razor.search import supernet
from training.razor.settings import RazorSettings
from training.razor.supernet import RazorEmbeddings, widened
from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker import Ranker, to_inputs
from vizsla.rng import numpy_generator

__all__ = ["optembed"]

POPULATION, PARENTS, GENERATIONS = 20, 5, 10
JUDGED_ROWS = 4_096
MUTATED = 0.2
SPARSITY = 1e-4
"""Weight of the penalty that makes thresholds rise; ``options["sparsity"]``."""

Genes = NDArray[np.int64]
"""``(O,)`` width of every field with a table of its own."""


@dataclass(slots=True)
class _Evolution:
    task: RivalTask
    judge: Callable[[Genes], float]
    generator: np.random.Generator


def optembed(task: RivalTask) -> RankingSchema:
    """Cut values, then evolve widths within the budget, judged on validation rows.

    References:
        Lyu et al., "OptEmbed: Learning Optimal Embedding Table for Click-through Rate
        Prediction", CIKM 2022.
    """
    model, embeddings, values = _supernet(task)
    kept = values.kept()
    cut = replace(task, schema=cut_schema(task.schema, kept))
    generator = numpy_generator(task.seed, "rival", "optembed", "evolution")
    genes = _evolved(_Evolution(cut, _judge(task, model, embeddings), generator))
    settings = {"generations": GENERATIONS, "values": packed(kept)}
    schema = cut.schema_of("optembed", _widths(task, genes), **settings)
    record = schema.search.model_copy(update={"parent": task.schema.schema_id})
    return schema.model_copy(update={"search": record})


def _supernet(task: RivalTask) -> tuple[Ranker, RazorEmbeddings, ThresholdTable]:
    """Train for one pass under widths that are drawn anew for every batch."""
    check_labels(task.rows)
    settings = RazorSettings(learning_rate=0.003, batch_size=256)
    schema = widened(task.schema, task.full_width)
    model, embeddings = supernet(schema, _prefixes(task.full_width), settings, task.seed)
    values = ThresholdTable(embeddings, schema)
    embeddings.table = values  # type: ignore[assignment]  # it looks up as the table does
    sparsity = float(task.options.get("sparsity", SPARSITY))
    generator = numpy_generator(task.seed, "rival", "optembed", "rows")
    optimizers = optimisers(model, settings.learning_rate, (embeddings.importances,))
    model.train()
    for places in batch_rows(len(task.rows), settings.batch_size, generator):
        inputs, labels, weights = tensors(schema, task.rows, places)
        genes = generator.integers(0, task.full_width + 1, len(task.owners))
        embedded = embeddings.blend(inputs, _choice(task, embeddings, genes))
        loss = label_loss(model.backbone(embedded), labels, weights)
        step(loss + sparsity * values.penalty(), optimizers)
    return model, embeddings, values


def _prefixes(width: int) -> Tensor:
    """Return ``(W + 1, W)``: row w has the first w columns."""
    return torch.ones(width + 1, width).tril(-1)


def _widths(task: RivalTask, genes: Genes) -> Widths:
    return dict(zip(task.owners, map(int, genes), strict=True))


def _choice(task: RivalTask, embeddings: RazorEmbeddings, genes: Genes) -> Tensor:
    """Return ``(F, W + 1)``: certainty of the width of each field, that of its table."""
    owner = {one.spec.name: one.spec.shares or one.spec.name for one in task.schema.fields}
    widths = _widths(task, genes)
    wanted = torch.tensor([widths[owner[name]] for name in embeddings.names])
    return torch.nn.functional.one_hot(wanted, task.full_width + 1).float()


def _judge(task: RivalTask, model: Ranker, embeddings: RazorEmbeddings) -> Callable[[Genes], float]:
    """Return what tells the validation log loss of widths; lower is better."""
    model.eval()
    generator = numpy_generator(task.seed, "rival", "optembed", "judged")
    places = generator.permutation(len(task.valid))[:JUDGED_ROWS]
    rows = task.valid.take(np.sort(places))
    assert rows.labels is not None
    inputs, labels = to_inputs(model.schema, rows), rows.labels

    @torch.no_grad()
    def judge(genes: Genes) -> float:
        embedded = embeddings.blend(inputs, _choice(task, embeddings, genes))
        return evaluate(labels, model.backbone(embedded).sigmoid().numpy())["log_loss"]

    return judge


def _evolved(run: _Evolution) -> Genes:
    population = [_within(run, _drawn) for _ in range(POPULATION)]
    judged = sorted((run.judge(one), place) for place, one in enumerate(population))
    best = [(loss, population[place]) for loss, place in judged][:PARENTS]
    for _ in range(GENERATIONS):
        breed = partial(_child, parents=[genes for _, genes in best])
        children = [_within(run, breed) for _ in range(POPULATION - PARENTS)]
        best += [(run.judge(one), one) for one in children]
        best = sorted(best, key=lambda pair: pair[0])[:PARENTS]
    return best[0][1]


def _within(run: _Evolution, draw: Callable[[_Evolution], Genes]) -> Genes:
    """Return something drawn that fits the budget: what does not is shrunk field by field."""
    genes = draw(run)
    while not run.task.fits(_widths(run.task, genes)):
        place = run.generator.choice(np.flatnonzero(genes))
        genes[place] = run.generator.integers(0, genes[place])
    return genes


def _drawn(run: _Evolution) -> Genes:
    found: Genes = run.generator.integers(0, run.task.full_width + 1, len(run.task.owners))
    return found


def _child(run: _Evolution, parents: list[Genes]) -> Genes:
    """Mix two parents field by field, and change some fields."""
    one, other = (parents[run.generator.integers(len(parents))] for _ in range(2))
    mixed = np.where(run.generator.random(len(one)) < 0.5, one, other)
    changed = run.generator.random(len(one)) < MUTATED
    return np.where(changed, _drawn(run), mixed)
