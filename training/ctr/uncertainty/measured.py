"""What a run says of its ranker's uncertainty: fitted, or why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from training.ctr.encoding import StoppedError
from training.ctr.judging import ITEMS
from training.ctr.uncertainty.fit import Seen, fit_uncertainty
from training.ctr.uncertainty.seeing import last_weights, see_batches, see_narrow
from vizsla.bundles.ranker import UncertaintyParts
from vizsla.cli_output import progress
from vizsla.contracts.features import FrameSplit
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker
from vizsla.models.ranker.calibration import Calibration

__all__ = ["item_field", "measure_uncertainty"]


def item_field(schema: RankingSchema) -> RankerField | None:
    """Return the kept field whose code says which item a row shows, where there is one."""
    kept = {one.spec.name: one for one in schema.kept}
    found = (kept[name] for name in ITEMS if name in kept)
    return next((one for one in found if one.spec.owner == "item" and not one.spec.is_list), None)


def measure_uncertainty(
    ranker: Ranker,
    rows: Mapping[FrameSplit, EncodedRows],
    calibration: Calibration,
    should_stop: Callable[[], bool] = lambda: False,
) -> UncertaintyParts | str:
    """Fit how unsure a ranker is, or say why that cannot be done.

    Args:
        ranker: In evaluation mode.
        rows: ``train`` and ``valid``.
        calibration: What its probabilities are corrected with.
        should_stop: Asked after every batch of training rows.

    Raises:
        StoppedError: It said so.
    """
    item = item_field(ranker.schema)
    if ranker.backbone.last_layer() is None:
        return "the model has no hidden layer to be unsure of"
    if item is None:
        names = " or ".join(ITEMS)
        return f"the ranker reads no item field called {names} that tells items apart"
    if not len(rows["valid"]):
        return "there are no validation rows to fit it on"
    name = item.spec.name
    with progress("measuring uncertainty", len(rows["train"]), "rows") as bar:

        def pieces() -> Iterator[Seen]:
            for piece in see_batches(ranker, rows["train"], name):
                yield piece
                bar.advance(len(piece.logits))
                if should_stop():
                    raise StoppedError

        valid = see_narrow(ranker, rows["valid"], name)
        weights = last_weights(ranker)
        found = fit_uncertainty(pieces(), valid, weights, calibration.curve, item.n_codes)
    return UncertaintyParts(name, found.arrays())
