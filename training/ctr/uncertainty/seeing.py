"""What a ranker makes of rows: logits, and what its last layer reads."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.ctr.uncertainty.fit import Seen
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, to_inputs

__all__ = ["last_layer", "last_weights", "see"]

_BATCH_ROWS = 8_192


def last_layer(ranker: Ranker) -> nn.Linear:
    """Return the last layer of the backbone's perceptron, which makes the logit or most of it.

    Raises:
        UsageError: The backbone has none, as a logistic regression has not.
    """
    layers = getattr(ranker.backbone, "layers", None)
    last = layers[-1] if isinstance(layers, nn.Sequential) and len(layers) else None
    if not isinstance(last, nn.Linear) or last.out_features != 1:
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


@torch.inference_mode()
def see(ranker: Ranker, rows: EncodedRows, item_field: str) -> Seen:
    """Score labelled rows and keep what the last layer read, batch by batch.

    Args:
        ranker: In evaluation mode, so that nothing is dropped out.
        rows: With labels.
        item_field: Field whose codes say which item a row shows.

    Raises:
        UsageError: The model has no last layer.
    """
    assert rows.labels is not None
    hidden: list[Tensor] = []
    hook = last_layer(ranker).register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    logits = []
    try:
        for start in range(0, len(rows), _BATCH_ROWS):
            places = np.arange(start, min(start + _BATCH_ROWS, len(rows)))
            logits.append(ranker(to_inputs(ranker.schema, rows.take(places))))
    finally:
        hook.remove()
    return Seen(
        torch.cat(logits).numpy(),
        rows.labels,
        torch.cat(hidden).numpy(),
        rows.single[item_field],
    )
