"""Training a part of a matcher while the rest stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

__all__ = ["frozen", "set_training"]


@contextmanager
def frozen(matcher: nn.Module, trained: Sequence[str]) -> Iterator[None]:
    """Take no gradients, for a block, by weights whose names begin with none of some prefixes.

    Args:
        matcher: Changed, and put back afterwards.
        trained: Prefixes of what learns; empty for all.
    """
    own = {name: p for name, p in matcher.named_parameters() if p.requires_grad}
    still = [p for name, p in own.items() if not name.startswith(tuple(trained) or "")]
    for parameter in still:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in still:
            parameter.requires_grad = True


def set_training(matcher: nn.Module, trained: Sequence[str]) -> None:
    """Put what learns into training mode and all else into evaluation mode.

    A frozen part whose dropout stayed on would be repaired by the part that learns.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.Dropout())
        >>> set_training(model, ["1"])
        >>> model[0].training, model[1].training
        (False, True)
    """
    matcher.train()
    parts = {prefix.partition(".")[0] for prefix in trained}
    for name, module in matcher.named_children():
        if parts and name not in parts:
            module.eval()
