"""Rivals that look at no label."""

from __future__ import annotations

from training.razor.rivals.task import RivalTask, Widths, greedy, largest
from vizsla.contracts.ranking import RankingSchema
from vizsla.rng import numpy_generator

__all__ = ["full", "power_law", "random_columns", "uniform"]

EXPONENTS = (0.2, 0.4, 0.6)
_STEPS = 2_000


def full(task: RivalTask) -> RankingSchema:
    """Keep everything, whatever the budget: what the others are measured against."""
    return task.schema


def uniform(task: RivalTask) -> RankingSchema:
    """Give every field the largest common width that fits."""
    sizes = range(task.full_width + 1)
    widths = largest(task, lambda width: dict.fromkeys(task.owners, width), sizes)
    return task.schema_of("uniform", widths)


def random_columns(task: RivalTask) -> RankingSchema:
    """Keep columns at random, while they fit."""
    columns = [name for name in task.owners for _ in range(task.full_width)]
    order = numpy_generator(task.seed, "rival", "random").permutation(len(columns))
    return task.schema_of("random", greedy(task, [columns[place] for place in order]))


def power_law(task: RivalTask) -> RankingSchema:
    """Make widths fall with a power of the number of values; validation chooses the power.

    References:
        Ginart et al., "Mixed Dimension Embeddings", arXiv 1909.11810: width proportional to
        the probability of a value, ``1 / n``, to a power.
    """
    exponents = task.options.get("exponents", EXPONENTS)
    return task.best([_power(task, exponent) for exponent in exponents])


def _power(task: RivalTask, exponent: float) -> RankingSchema:
    sizes = {f.spec.name: f.n_codes for f in task.schema.fields if not f.spec.shares}
    smallest = min(sizes.values())

    def sized(step: int) -> Widths:
        # every field keeps a column as long as there is room for one each
        scale = step * task.full_width / _STEPS
        wanted = {name: scale * (smallest / n) ** exponent for name, n in sizes.items()}
        return {name: max(1, min(round(w), task.full_width)) for name, w in wanted.items()}

    # powers below one leave room when the smallest fields are full, hence more steps
    widths = largest(task, sized, range(1, 30 * _STEPS, 10))
    if not task.fits(widths):
        widths = dict.fromkeys(widths, 0)
    return task.schema_of("power_law", widths, exponent=exponent)
