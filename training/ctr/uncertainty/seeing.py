"""What a ranker makes of rows: logits, and what its last layer reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.ctr.uncertainty.fit import Seen
from vizsla.bundles.ranker import ExportedRanker
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, to_inputs
from vizsla.models.ranker.uncertainty import Uncertainty

__all__ = ["last_layer", "last_weights", "see", "see_batches", "see_narrow", "stored"]

_BATCH_ROWS = 8_192


def last_layer(ranker: Ranker) -> nn.Linear:
    """Return the last layer of the backbone's perceptron, which makes the logit or most of it.

    Raises:
        UsageError: The backbone has none, as a logistic regression has not.
    """
    last = ranker.backbone.last_layer()
    if last is None:
        raise UsageError(
            f"model {type(ranker.backbone).__name__} has no last layer to be unsure of; "
            "use one with a perceptron, such as dnn or deepfm"
        )
    return last


def last_weights(ranker: Ranker) -> NDArray[np.float32]:
    """Return ``(D + 1,)`` weights of the last layer, its bias last."""
    tensors = last_layer(ranker).state_dict()
    bias = tensors.get("bias", torch.zeros(1))
    weights: NDArray[np.float32] = torch.cat([tensors["weight"][0], bias]).cpu().numpy()
    return weights


def see(ranker: Ranker, rows: EncodedRows, item_field: str) -> Seen:
    """Score labelled rows and keep what the last layer read; see ``see_batches``."""
    return _joined(list(see_batches(ranker, rows, item_field)))


def see_narrow(ranker: Ranker, rows: EncodedRows, item_field: str) -> Seen:
    """Score labelled rows as ``see`` does, without what the last layer read, which is wide."""
    nothing = np.empty((0, last_layer(ranker).in_features), np.float32)  # a slice would keep all
    return _joined([replace(one, hidden=nothing) for one in see_batches(ranker, rows, item_field)])


def _joined(parts: Sequence[Seen]) -> Seen:
    return Seen(
        np.concatenate([one.logits for one in parts]),
        np.concatenate([one.labels for one in parts]),
        np.concatenate([one.hidden for one in parts]),
        np.concatenate([one.items for one in parts]),
    )


def see_batches(ranker: Ranker, rows: EncodedRows, item_field: str) -> Iterator[Seen]:
    """Score labelled rows batch by batch, since what the last layer reads is wide.

    Args:
        ranker: In evaluation mode, so that nothing is dropped out.
        rows: With labels.
        item_field: Field whose codes say which item a row shows.

    Raises:
        UsageError: The model has no last layer.
    """
    assert rows.labels is not None
    for start in range(0, len(rows), _BATCH_ROWS):
        part = rows.take(np.arange(start, min(start + _BATCH_ROWS, len(rows))))
        logits, hidden = _scored(ranker, part)
        labels = np.asarray(part.labels, np.float32)
        yield Seen(logits, labels, hidden, part.single[item_field])


def stored(exported: ExportedRanker, ranker: Ranker) -> tuple[str, Uncertainty] | None:
    """Return the item field and the uncertainty of an exported ranker; None where it has none.

    Raises:
        IncompatibleArtifactError: It belongs to another ranker.
    """
    parts = exported.uncertainty()
    if parts is None:
        return None
    n_hidden = last_layer(ranker).in_features
    found = Uncertainty.stored(exported.schema, parts.item_field, parts.arrays, n_hidden)
    return parts.item_field, found


@torch.inference_mode()
def _scored(ranker: Ranker, rows: EncodedRows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return ``(B,)`` logits and the ``(B, D)`` that the last layer made them of."""
    kept: list[Tensor] = []
    hook = last_layer(ranker).register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    try:
        logits = ranker(to_inputs(ranker.schema, rows))
    finally:
        hook.remove()
    return logits.numpy(), kept[0].numpy()
