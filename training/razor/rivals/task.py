"""What every rival gets, and how all of them meet the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from training.ctr.loop import TrainedRanker, train_ranker
from training.ctr.settings import RankerSettings
from training.razor.prune import last_where, n_parameters, resized
from vizsla.contracts.ranking import RankingSchema, SearchRecord
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows

__all__ = ["RivalTask", "capped", "followed", "greedy", "largest"]

Widths = dict[str, int]


@dataclass(frozen=True, slots=True)
class RivalTask:
    """One schema to be cut down.

    Attributes:
        schema: Every field at full width.
        rows: Training rows.
        valid: Validation rows, for every choice that is made; test rows are not here.
        budget: Entries that all tables together may have.
        seed: Of everything random.
        ranker: How a model is trained, wherever one is.
        options: Of the rival itself.
    """

    schema: RankingSchema
    rows: EncodedRows
    valid: EncodedRows
    budget: int
    seed: int
    ranker: RankerSettings = field(default_factory=lambda: RankerSettings(model="dnn"))
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_width(self) -> int:
        """Columns of a field of the full model."""
        return max(one.dim for one in self.schema.fields)

    @property
    def owners(self) -> list[str]:
        """Fields that have a table of their own."""
        return [one.spec.name for one in self.schema.fields if not one.spec.shares]

    def size(self, widths: Mapping[str, int]) -> int:
        """Return the entries of all tables."""
        return n_parameters(self.schema, widths)

    def fits(self, widths: Mapping[str, int]) -> bool:
        """Tell whether widths are within the budget."""
        return self.size(widths) <= self.budget

    def schema_of(self, method: str, widths: Mapping[str, int], **settings: Any) -> RankingSchema:
        """Return the schema of given widths, which a field that shares takes from its owner.

        Raises:
            UsageError: Nothing fits the budget.
        """
        whole = followed(self.schema, widths)
        if not any(whole.values()):
            raise UsageError(f"{method}: nothing fits a budget of {self.budget} table entries")
        record = SearchRecord(
            method=method,
            settings={"budget": self.budget, **settings},
            seed=self.seed,
            parent=self.schema.schema_id,
        )
        return resized(self.schema, whole, record)

    def train(self, schema: RankingSchema) -> TrainedRanker:
        """Train a schema from scratch."""
        return train_ranker(schema, self.rows, self.valid, self.ranker, self.seed)

    def best(self, candidates: Sequence[RankingSchema]) -> RankingSchema:
        """Return the one that validation likes best; every one of them is trained."""
        distinct = list({tuple(f.dim for f in one.fields): one for one in candidates}.values())
        if len(distinct) == 1:
            return distinct[0]
        return max(distinct, key=self._quality)

    def _quality(self, schema: RankingSchema) -> float:
        metrics = self.train(schema).metrics
        return metrics["auc"] if "auc" in metrics else -metrics["log_loss"]


def followed(schema: RankingSchema, widths: Mapping[str, int]) -> Widths:
    """Return widths in which a field that shares is as wide as its owner, or dropped.

    It is dropped only where ``widths`` names it with 0.
    """
    found = {}
    for one in schema.fields:
        name, owner = one.spec.name, one.spec.shares
        wanted = owner is None or widths.get(name, 1) > 0
        found[name] = widths.get(owner or name, 0) if wanted else 0
    return found


def largest(
    task: RivalTask, sized: Callable[[int], Mapping[str, int]], sizes: Sequence[int]
) -> Widths:
    """Return the widths of the largest of rising sizes that fits; the first where none does."""
    place = last_where(len(sizes), lambda i: task.fits(sized(sizes[i])))
    return dict(sized(sizes[max(place, 0)]))


def capped(task: RivalTask, widths: Mapping[str, int]) -> Widths:
    """Return widths cut at the largest common cap that fits; 0 everywhere where 1 does not."""
    caps = range(task.full_width + 1)
    return largest(task, partial(_at_most, widths), caps)


def _at_most(widths: Mapping[str, int], cap: int) -> Widths:
    return {name: min(width, cap) for name, width in widths.items()}


def greedy(task: RivalTask, columns: Iterable[str]) -> Widths:
    """Take columns, each named by its field, in order, while they fit; ones too large are skipped."""
    widths = dict.fromkeys(task.owners, 0)
    for name in columns:
        wider = widths | {name: widths[name] + 1}
        if task.fits(wider):
            widths = wider
    return widths
