"""Choose the curve of a ranker by cross-validation on its validation rows, never on test rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.ctr.calibration.fit import FITTERS
from vizsla.errors import UnknownNameError
from vizsla.models.ranker.calibration import Calibration, Scores, log_losses
from vizsla.rng import numpy_generator

__all__ = ["Candidate", "Choice", "choose"]

_N_FOLDS = 10


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Candidate(_Frozen):
    """One kind of curve on rows that it was not fitted on.

    Attributes:
        kind: Of the curve.
        log_loss: Mean over all rows in nats, each row predicted by the fit of the other folds.
        behind: Its log loss minus the best kind's.
        behind_error: Standard error of that difference, paired by row.
    """

    kind: str
    log_loss: float
    behind: float
    behind_error: float


class Choice(_Frozen):
    """The curve that was chosen, fitted on all rows, and what it was chosen from.

    Attributes:
        calibration: To be kept with the ranker.
        candidates: All kinds, the simplest first; empty where there was nothing to choose on.
        n_rows: Validation rows.
        note: Why nothing was fitted, for people; empty where something was.
    """

    calibration: Calibration
    candidates: tuple[Candidate, ...] = ()
    n_rows: int
    note: str = ""


def choose(
    logits: Scores,
    labels: Scores,
    *,
    weights: Scores | None = None,
    seed: int = 0,
    negative_ratio: float = 1.0,
    kinds: tuple[str, ...] = tuple(FITTERS),
) -> Choice:
    """Fit every kind of curve and keep the simplest that is not clearly behind the best.

    Ten folds, each with its share of the positives; a kind is clearly behind where its mean log
    loss is more than a standard error (paired by row) above the best.

    Args:
        logits: ``(M,)`` raw, of validation rows.
        labels: ``(M,)`` 0 or 1.
        weights: ``(M,)``, of which only proportions count; rows without any are left out.
        seed: Of the folds.
        negative_ratio: Share of the true negatives among these rows.
        kinds: From ``FITTERS``, simplest first.

    Raises:
        UnknownNameError: No such kind.
    """
    unknown = [kind for kind in kinds if kind not in FITTERS]
    if unknown:
        raise UnknownNameError(f"no curve {unknown[0]!r}; there are {', '.join(FITTERS)}")
    scores, truth = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    n_rows = len(truth)
    mass = np.ones(n_rows) if weights is None else np.asarray(weights, np.float64)
    scores, truth, mass = (one[mass > 0] for one in (scores, truth, mass))
    n_fewest = int(min(truth.sum(), len(truth) - truth.sum()))
    if n_fewest < _N_FOLDS:
        note = f"not calibrated: {n_fewest} validation rows of the rarer label, {_N_FOLDS} needed"
        raw = Calibration(negative_ratio=negative_ratio)
        return Choice(calibration=raw, n_rows=n_rows, note=note)
    mass = mass / mass.mean()
    folds = _folds(truth, seed)
    losses = {kind: _held_out_losses(kind, scores, truth, mass, folds) for kind in kinds}
    candidates = _compare(losses)
    kind = next(one.kind for one in candidates if one.behind <= one.behind_error)
    curve = FITTERS[kind](scores, truth, mass)
    calibration = Calibration(curve=curve, negative_ratio=negative_ratio)
    return Choice(calibration=calibration, candidates=candidates, n_rows=n_rows)


def _folds(labels: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Return the fold of every row; positives and negatives are dealt out one by one."""
    generator = numpy_generator(seed, "calibration folds")
    folds = np.empty(len(labels), np.int64)
    for label in (0.0, 1.0):
        rows = np.flatnonzero(labels == label)
        folds[generator.permutation(rows)] = np.arange(len(rows)) % _N_FOLDS
    return folds


def _held_out_losses(
    kind: str,
    logits: NDArray[np.float64],
    labels: NDArray[np.float64],
    mass: NDArray[np.float64],
    folds: NDArray[np.int64],
) -> NDArray[np.float64]:
    losses = np.empty(len(labels))
    for fold in range(_N_FOLDS):
        held = folds == fold
        curve = FITTERS[kind](logits[~held], labels[~held], mass[~held])
        losses[held] = mass[held] * log_losses(curve.logits(logits[held]), labels[held])
    return losses


def _compare(losses: dict[str, NDArray[np.float64]]) -> tuple[Candidate, ...]:
    best = min(losses.values(), key=lambda one: float(one.mean()))
    return tuple(
        Candidate(
            kind=kind,
            log_loss=float(own.mean()),
            behind=float((own - best).mean()),
            behind_error=float((own - best).std(ddof=1) / np.sqrt(len(own))),
        )
        for kind, own in losses.items()
    )
