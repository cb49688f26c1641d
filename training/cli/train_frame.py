"""``vizsla train`` with a recipe whose model is trained on a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.ctr.request import FrameRequest
from vizsla.cli_output import print_json, say

__all__ = ["FrameKind"]


@dataclass(frozen=True, slots=True)
class FrameKind:
    """A kind of recipe.

    Attributes:
        train: Trains what is asked for; None when it was stopped. A finished run has the ``recipe``,
            the ``result`` and whether it was ``reused``.
        show: Prints such a run as tables.
    """

    train: Callable[[FrameRequest], Any]
    show: Callable[[Any, FrameRequest], None]

    def run(self, request: FrameRequest, *, as_json: bool) -> bool:
        """Train and show the result; False when it was stopped."""
        done = self.train(request)
        if done is None:
            return False
        if as_json:
            shown = {"recipe": done.recipe.name, "model": done.recipe.model, "reused": done.reused}
            print_json(shown | done.result.model_dump() | {"out": str(request.out)})
            return True
        if done.reused:
            say(f"{request.out} holds this very run, finished (use --fresh to train again)")
        self.show(done, request)
        return True
