"""How unsure a ranker is of a logit, and scores that explore because of it; NumPy only.

The variance of a calibrated logit has two parts:

- the **last layer**: its weights are known as well as the training rows fix them (Laplace), so
  a row whose last hidden layer looks like few training rows is less sure;
- the **item**: what distinguishes it from others with the same fields is known only from its
  own impressions, and not at all for a new one.

Shapes: **B** rows, **D** units of the last hidden layer, **R** columns of the factor, **C** codes
of the item field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import IncompatibleArtifactError
from vizsla.models.ranker.calibration import Floats, Scores

__all__ = ["Uncertainty"]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The posterior of a ranker's logits.

    Attributes:
        factor: ``(D + 1, R)`` float32; the covariance of the last layer's weights and, in the
            last row, its bias is ``factor @ factor.T``.
        item_variance: ``(C,)`` float32 by code of the item field; that of a new item is the one
            of code ``UNKNOWN``.
    """

    factor: NDArray[np.float32]
    item_variance: NDArray[np.float32]

    def std(self, hidden: Scores, codes: NDArray[np.int32]) -> Floats:
        """Return ``(B,)`` standard deviations of logits.

        Args:
            hidden: ``(B, D)`` what the last layer reads.
            codes: ``(B,)`` of the item field.
        """
        factor = self.factor.astype(np.float64)
        last = np.square(hidden @ factor[:-1] + factor[-1]).sum(axis=1)
        return np.asarray(np.sqrt(last + self.item_variance[codes]), np.float64)

    def upper(
        self, logits: Floats, hidden: Scores, codes: NDArray[np.int32], n_std: float
    ) -> Floats:
        """Return ``(B,)`` upper confidence bounds: the logit and ``n_std`` deviations."""
        return np.asarray(logits + n_std * self.std(hidden, codes), np.float64)

    def draw(
        self,
        logits: Floats,
        hidden: Scores,
        codes: NDArray[np.int32],
        generator: np.random.Generator,
        items: NDArray[np.int64] | None = None,
    ) -> Floats:
        """Return ``(B,)`` logits of one model drawn from the posterior (Thompson sampling).

        All rows belong to one request: they share the drawn last layer, and rows of the same
        item share its part.

        Args:
            logits: ``(B,)`` calibrated.
            hidden: ``(B, D)`` what the last layer reads.
            codes: ``(B,)`` of the item field.
            generator: To draw with.
            items: ``(B,)`` any numbers that tell items apart; None takes the codes, which are
                the same for all new items.
        """
        weights = self.factor.astype(np.float64) @ generator.standard_normal(self.factor.shape[1])
        last = hidden @ weights[:-1] + weights[-1]
        own = np.sqrt(self.item_variance[codes])
        found, places = np.unique(codes if items is None else items, return_inverse=True)
        drawn = generator.standard_normal(len(found))[places]
        return np.asarray(logits + last + own * drawn, np.float64)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what is to be stored, by name."""
        return {"factor": self.factor, "item_variance": self.item_variance}

    @classmethod
    def stored(
        cls,
        schema: RankingSchema,
        item_field: str,
        arrays: Mapping[str, NDArray[np.float32]],
        n_hidden: int,
    ) -> Uncertainty:
        """Take what an exported ranker has stored.

        Args:
            schema: Of the ranker.
            item_field: Whose codes say which item a row shows.
            arrays: As ``arrays`` gave them.
            n_hidden: D, units that its last layer reads.

        Raises:
            IncompatibleArtifactError: It belongs to another ranker, or is no variance.
        """
        item = next((one for one in schema.kept if one.spec.name == item_field), None)
        if item is None or item.spec.owner != "item" or item.spec.is_list:
            raise IncompatibleArtifactError(
                f"uncertainty by {item_field!r}, which is no item field of the ranker"
            )
        return cls.from_arrays(arrays, n_hidden=n_hidden, n_codes=item.n_codes)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.float32]], *, n_hidden: int, n_codes: int
    ) -> Uncertainty:
        """Take what was stored for a ranker with D hidden units and C codes of the item field.

        Raises:
            IncompatibleArtifactError: It belongs to another ranker, or is no variance.
        """
        found = cls(arrays["factor"], arrays["item_variance"])
        if found.factor.shape[:1] != (n_hidden + 1,) or found.item_variance.shape != (n_codes,):
            raise IncompatibleArtifactError(
                f"uncertainty of {found.factor.shape[0] - 1} hidden units and "
                f"{len(found.item_variance)} items; the ranker has {n_hidden} and {n_codes}"
            )
        if not np.isfinite(found.factor).all() or not (found.item_variance >= 0).all():
            raise IncompatibleArtifactError("uncertainty holds values that are no variances")
        return found
