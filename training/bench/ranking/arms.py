"""One schema per arm, found by the razor or a rival, trained from scratch and measured on test."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from training.bench.form import Row
from training.bench.ranking.data import RankingData, encoded, noisy_frame
from training.ctr.loop import train_ranker
from training.ctr.metrics import evaluate
from training.ctr.predicting import predict
from training.ctr.settings import RankerSettings
from training.razor.prune import prune, resized
from training.razor.rivals import RIVALS, RivalTask
from training.razor.rivals.values import cut_rows
from training.razor.search import search
from training.razor.settings import PruneSettings, RazorSettings
from vizsla.contracts.ranking import RankingSchema, SearchRecord
from vizsla.errors import UsageError

__all__ = ["ARMS", "FAILED", "KNOWING", "RAZOR", "ArmJob"]

FAILED = "failed"
"""Column of a row whose arm found nothing to train: why."""

RAZOR = "razor"
KNOWING = "knowing"
"""The full model without the fields that are noise: what a search can reach at best."""

ARMS = ("full", RAZOR, KNOWING, *(name for name in RIVALS if name != "full"))
"""In the table's order."""


@dataclass(frozen=True, slots=True)
class ArmJob:
    """One arm with one seed, in a process of its own.

    Attributes:
        home: Where frames are.
        work: Where frames with noise are made.
        frame: Name of a training frame.
        arm: One of ``ARMS``.
        seed: Of noise, search and training.
        budget_ratio: Share of the full model's embedding parameters that an arm may have.
        noise: Values of each noise field; empty for none.
        max_rows: Training rows that are read; 0 for all.
        ranker: The loop that every arm gets.
        razor: Of the search.
        cut: Where it is cut; a result that is larger than the budget is cut to it.
    """

    home: Path
    work: Path
    frame: str
    arm: str
    seed: int
    budget_ratio: float
    noise: tuple[int, ...] = ()
    max_rows: int = 0
    ranker: RankerSettings = field(default_factory=RankerSettings)
    razor: RazorSettings = field(default_factory=RazorSettings)
    cut: PruneSettings = field(default_factory=PruneSettings)

    def __call__(self) -> list[Row]:
        """Find the schema, train it, and measure the epoch that is best on validation.

        An arm that finds nothing within its budget gives a row with the reason under ``FAILED``.
        """
        frame = noisy_frame(self.frame, self.home, self.work, self.seed, self.noise)
        data = encoded(frame, self.max_rows)
        started_s = process_time()
        try:
            schema = self._schema(data)
        except UsageError as error:  # one arm that fits nothing says so; the others go on
            return [{"frame": self.frame, "arm": self.arm, "seed": self.seed, FAILED: str(error)}]
        return [self._row(data, schema, started_s)]

    def _row(self, data: RankingData, schema: RankingSchema, started_s: float) -> Row:
        """Train a schema that was searched since ``started_s``."""
        searched_s = process_time()
        train, valid, test = (cut_rows(schema, one) for one in (data.train, data.valid, data.test))
        trained = train_ranker(schema, train, valid, self.ranker, self.seed)
        trained_s = process_time()
        assert test.labels is not None
        figures = evaluate(test.labels, predict(trained.ranker, test))
        widths = {one.spec.name: one.dim for one in schema.fields}
        return {
            "frame": self.frame,
            "arm": self.arm,
            "seed": self.seed,
            "auc": figures["auc"],
            "log_loss": figures["log_loss"],
            "valid_auc": trained.metrics["auc"],
            "n_parameters": schema.n_parameters,
            "parameter_ratio": schema.n_parameters / data.schema.n_parameters,
            "input_width": schema.input_width,
            "multiplications": _multiplications(schema, self.ranker),
            # a first-order weight per row is there however wide the rows are
            "table_bytes": 4 * (schema.n_parameters + schema.n_table_rows),
            "n_noise_kept": sum(widths[name] > 0 for name in data.noise),
            "search_cpu_s": searched_s - started_s,
            "epoch_cpu_s": (trained_s - searched_s) / max(1, len(trained.history)),
            "epochs": len(trained.history),
            "widths": widths,
        }

    def _schema(self, data: RankingData) -> RankingSchema:
        budget = int(self.budget_ratio * data.schema.n_parameters)
        if self.arm == KNOWING:
            widths = {
                f.spec.name: 0 if f.spec.name in data.noise else f.dim for f in data.schema.fields
            }
            return resized(data.schema, widths, SearchRecord(parent=data.schema.schema_id))
        if self.arm == RAZOR:
            found = search(data.schema, data.train, self.razor, self.seed)
            return prune(found, PruneSettings(**self.cut.model_dump() | {"budget": budget}))
        task = RivalTask(data.schema, data.train, data.valid, budget, self.seed, self.ranker)
        made: RankingSchema = RIVALS.load(self.arm)(task)
        return made


def _multiplications(schema: RankingSchema, ranker: RankerSettings) -> int:
    """Return the multiplications of the perceptron for one row."""
    widths = [schema.input_width, *ranker.model_settings["hidden"], 1]
    return sum(before * after for before, after in itertools.pairwise(widths))
