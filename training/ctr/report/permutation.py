"""What a ranker loses when the values of one field are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.ctr.metrics import defined_auc
from vizsla.cli_output import Progress
from vizsla.contracts.importance import Effect
from vizsla.errors import ContractError
from vizsla.fields import EncodedRows
from vizsla.models.ranker.calibration import Scores, log_losses, to_logits
from vizsla.rng import numpy_generator

__all__ = ["Predict", "Shuffled", "shuffle_fields"]

Predict = Callable[[EncodedRows], Scores]
"""Rows to ``(B,)`` probabilities."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """What each field was worth.

    Attributes:
        n_rows: That were scored.
        n_repeats: Shuffles per field.
        auc: With nothing shuffled; None where the rows have one label only.
        log_loss: The same, in nats.
        auc_drop: Field to the fall of AUC; None where AUC is not defined.
        log_loss_rise: Field to the rise of the log loss.
    """

    n_rows: int
    n_repeats: int
    auc: float | None
    log_loss: float
    auc_drop: Mapping[str, Effect | None]
    log_loss_rise: Mapping[str, Effect]


def shuffle_fields(
    predict: Predict,
    rows: EncodedRows,
    fields: Sequence[str],
    *,
    n_repeats: int = 5,
    max_rows: int = 50_000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Shuffled:
    """Shuffle one field after the other and score the rows again.

    Where two fields say the same, each looks unimportant, since the other is still there.

    Args:
        predict: The model.
        rows: Held-out rows with labels.
        fields: Which to shuffle.
        n_repeats: Shuffles per field, at least two: they give the intervals.
        max_rows: A larger set is sampled.
        seed: Of sample and shuffles; a field's shuffles depend on its name, not its place.
        progress: Advanced by one per field.

    Raises:
        ContractError: Rows without labels, or fewer than two repeats.
    """
    if rows.labels is None or not len(rows) or n_repeats < 2:
        raise ContractError("shuffling needs labelled rows and at least two repeats")
    rows = _sample(rows, max_rows, seed)
    base = _Quality.of(predict, rows)
    losses: dict[str, Effect] = {}
    drops: dict[str, Effect | None] = {}
    for name in fields:
        found = [
            _Quality.of(predict, _shuffled(rows, name, seed, repeat)) for repeat in range(n_repeats)
        ]
        losses[name] = _effect([one.log_loss - base.log_loss for one in found])
        falls = [
            base.auc - one.auc for one in found if base.auc is not None and one.auc is not None
        ]
        drops[name] = _effect(falls) if falls else None
        if progress is not None:
            progress.advance()
    return Shuffled(len(rows), n_repeats, base.auc, base.log_loss, drops, losses)


@dataclass(frozen=True, slots=True)
class _Quality:
    auc: float | None
    log_loss: float

    @classmethod
    def of(cls, predict: Predict, rows: EncodedRows) -> _Quality:
        assert rows.labels is not None
        probabilities = predict(rows)
        losses = log_losses(to_logits(probabilities), rows.labels)
        return cls(defined_auc(rows.labels, probabilities), float(losses.mean()))


def _sample(rows: EncodedRows, max_rows: int, seed: int) -> EncodedRows:
    if len(rows) <= max_rows:
        return rows
    generator = numpy_generator(seed, "importance rows")
    kept: NDArray[np.int64] = generator.choice(len(rows), max_rows, replace=False)
    return rows.take(np.sort(kept))


def _shuffled(rows: EncodedRows, name: str, seed: int, repeat: int) -> EncodedRows:
    order = numpy_generator(seed, "shuffled field", name, repeat).permutation(len(rows))
    single, lists = dict(rows.single), dict(rows.lists)
    if name in single:
        single[name] = single[name][order]
    else:
        lists[name] = lists[name].take(order)
    return EncodedRows(single, lists, rows.labels, rows.weights)


def _effect(values: Sequence[float]) -> Effect:
    """Return the mean with its 95 % interval by Student's t."""
    from scipy.special import stdtrit

    mean, n = float(np.mean(values)), len(values)
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n))
    return Effect(mean=mean, low=mean - half, high=mean + half)
