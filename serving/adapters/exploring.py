"""What candidates may be worth: upper bounds and draws, by a ranker's own uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serving.core.ranking import Exploration, Explored
from vizsla.bundles.ranker import ExportedRanker
from vizsla.errors import IncompatibleArtifactError
from vizsla.models.ranker.calibration import Floats, sigmoid
from vizsla.models.ranker.sides import ItemSide, Scored
from vizsla.models.ranker.uncertainty import Uncertainty
from vizsla.rng import numpy_generator

__all__ = ["explore", "stored_uncertainty"]


def stored_uncertainty(ranker: ExportedRanker, n_hidden: int) -> Uncertainty | None:
    """Return a ranker's uncertainty; None where it has none.

    Args:
        ranker: As exported.
        n_hidden: D, units that its last layer reads.

    Raises:
        IncompatibleArtifactError: It belongs to another ranker.
    """
    parts = ranker.uncertainty()
    if parts is None:
        return None
    kept = {one.spec.name: one for one in ranker.schema.kept}
    item = kept.get(parts.item_field)
    if item is None or item.spec.owner != "item" or item.spec.is_list:
        raise IncompatibleArtifactError(
            f"uncertainty by {parts.item_field!r}, which is no item field of the ranker"
        )
    return Uncertainty.from_arrays(parts.arrays, n_hidden=n_hidden, n_codes=item.n_codes)


def explore(
    uncertainty: Uncertainty,
    logits: Floats,
    scored: Scored,
    items: ItemSide,
    item_ids: Sequence[str],
    asked: Exploration,
) -> Explored:
    """Return what orders C candidates of one request in place of their logits.

    Args:
        uncertainty: Of the ranker.
        logits: ``(C,)`` calibrated.
        scored: Of the same candidates, with what the last layer read.
        items: Their side, with codes.
        item_ids: An item that is named twice gets one draw; two new items get two.
        asked: How to explore.
    """
    if scored.hidden is None or items.codes is None:  # there are no candidates
        return Explored(logits, sigmoid(logits), np.zeros_like(logits))
    std = uncertainty.std(scored.hidden, items.codes)
    if asked.n_std is not None:
        scores = logits + asked.n_std * std
    else:
        first: dict[str, int] = {}
        nums = np.array([first.setdefault(one, len(first)) for one in item_ids], np.int64)
        generator = numpy_generator(0, "thompson", asked.request_id)
        scores = uncertainty.draw(logits, scored.hidden, items.codes, generator, nums)
    return Explored(scores, sigmoid(scores), std)
