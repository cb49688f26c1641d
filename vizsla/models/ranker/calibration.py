"""From a ranker's logit to a probability that can be priced; NumPy only.

A *curve* maps the raw logit ``z`` to a calibrated one and rises everywhere, so that the order
of candidates stays what it was.  Curves are fitted on validation rows by
``training.ctr.calibration``; here they are only applied, in training and in the server alike.

Where training kept only a share ``r`` of the true negatives, the odds that a model learns are
``1 / r`` times the true ones: sampling looks at the label alone, so for *any* score s

    P(1 | s, kept) / P(0 | s, kept)  =  P(1 | s) / (r P(0 | s)).

A curve is fitted on rows that were sampled the same way, so it gives the left side whatever its
form, and the correction ``log r`` is added to its result, **after** the curve.  Added before, it
would be fitted away again.  As a probability: ``p / (p + (1 - p) / r)``.

Shapes: **B** rows, **K** knots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "MIN_SLOPE",
    "Beta",
    "Calibration",
    "Curve",
    "Identity",
    "Isotonic",
    "Platt",
    "Temperature",
    "log_losses",
    "sigmoid",
    "to_logits",
]

Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

MIN_SLOPE = 1e-3
"""Least slope of parametric curves: a curve never turns a ranking round, nor flattens it."""

_TILT = 1e-6
"""Slope where an isotonic curve is flat: it keeps the raw order and moves odds by less than 1e-4."""

_LOWEST = 1e-7


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Frozen):
    """The raw logit."""

    type: Literal["identity"] = "identity"

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` calibrated logits."""
        return np.asarray(raw, np.float64)


class Temperature(_Frozen):
    """``z / temperature``: less sure above 1, surer below."""

    type: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0, le=1 / MIN_SLOPE)

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` calibrated logits."""
        return np.asarray(raw, np.float64) / self.temperature


class Platt(_Frozen):
    """``slope * z + intercept`` (Platt, 1999)."""

    type: Literal["platt"] = "platt"
    slope: float = Field(ge=MIN_SLOPE)
    intercept: float

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` calibrated logits."""
        return self.slope * np.asarray(raw, np.float64) + self.intercept


class Beta(_Frozen):
    """``a log p - b log(1 - p) + intercept`` with p = sigmoid(z) (Kull et al., 2017).

    One slope for low and another for high scores; with ``a = b`` it is Platt's.
    """

    type: Literal["beta"] = "beta"
    a: float = Field(ge=MIN_SLOPE)
    b: float = Field(ge=MIN_SLOPE)
    intercept: float

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` calibrated logits."""
        scores = np.asarray(raw, np.float64)
        low, high = np.logaddexp(0, -scores), np.logaddexp(0, scores)
        return self.b * high - self.a * low + self.intercept


class Isotonic(_Frozen):
    """A rising line through knots, straight between them and all but flat outside.

    Attributes:
        knots: K raw logits, rising.
        values: K calibrated logits, rising.
    """

    type: Literal["isotonic"] = "isotonic"
    knots: tuple[float, ...] = Field(min_length=1, max_length=4096)
    values: tuple[float, ...] = Field(min_length=1, max_length=4096)

    @model_validator(mode="after")
    def _rises(self) -> Isotonic:
        if len(self.knots) != len(self.values):
            raise ValueError(f"{len(self.knots)} knots, but {len(self.values)} values")
        if np.any(np.diff(self.knots) <= 0) or np.any(np.diff(self.values) < 0):
            raise ValueError("knots and values of an isotonic curve rise")
        return self

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` calibrated logits."""
        scores = np.asarray(raw, np.float64)
        middle = self.knots[len(self.knots) // 2]
        return np.interp(scores, self.knots, self.values) + _TILT * (scores - middle)


Curve = Annotated[
    Identity | Temperature | Platt | Beta | Isotonic,
    Field(discriminator="type"),
]


class Calibration(_Frozen):
    """What turns a ranker's logits into probabilities.

    Attributes:
        curve: Fitted on validation rows.
        negative_ratio: Share of the true negatives in the rows it was fitted on.
    """

    curve: Curve = Identity()
    negative_ratio: float = Field(default=1.0, gt=0, le=1)

    @classmethod
    def stored(cls, fields: Mapping[str, Any] | None, negative_ratio: float) -> Calibration:
        """Return what an exported ranker is served with.

        Args:
            fields: Of its manifest; None where no curve was fitted.
            negative_ratio: Of its training frame, which holds without a curve too.
        """
        if fields is None:
            return cls(negative_ratio=negative_ratio)
        return cls.model_validate(dict(fields))

    def logits(self, raw: Scores) -> Floats:
        """Return ``(B,)`` log-odds among *all* impressions, in the order of the raw ones.

        Sort by these rather than by probabilities, which float64 cannot tell apart close to 1.
        """
        return self.curve.logits(raw) + math.log(self.negative_ratio)

    def probabilities(self, raw: Scores) -> Floats:
        """Return ``(B,)`` probabilities of a positive label among all impressions."""
        return sigmoid(self.logits(raw))


def sigmoid(logits: Scores) -> Floats:
    """Return probabilities, without overflow for any logit.

    Example:
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def to_logits(probabilities: Scores) -> Floats:
    """Return logits of probabilities, those of 1e-7 and 1 - 1e-7 at the ends."""
    clipped = np.clip(np.asarray(probabilities, np.float64), _LOWEST, 1 - _LOWEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float64)


def log_losses(logits: Scores, labels: Scores) -> Floats:
    """Return the log loss of each row in nats: ``(B,)`` logits against labels 0 or 1."""
    signs = 1.0 - 2.0 * np.asarray(labels, np.float64)
    return np.logaddexp(0, signs * np.asarray(logits, np.float64))
