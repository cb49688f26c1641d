"""A team of processes that talk through torch's process group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from torch import Tensor

from training.distributed.carried_errors import error_from, error_record
from training.distributed.exchange import Exchange
from training.team import Share, TeamCost
from vizsla.clock import Clock
from vizsla.errors import UsageError, VizslaError

__all__ = ["TorchTeam"]

Result = TypeVar("Result")


class TorchTeam:
    """The processes of the current process group; see ``training.team.Team``.

    Args:
        clock: Tells the time that exchanges take.
    """

    def __init__(self, clock: Clock) -> None:
        self._exchange = Exchange(clock)
        self.rank, self.n_workers = self._exchange.rank, self._exchange.n_workers

    def total(self, share: Share, weights: Sequence[Tensor]) -> Share:
        """Sum the shares of all workers."""
        own, like = [*share.gradients, share.loss], [*weights, share.loss]
        *gradients, loss = self._exchange.sum(own, like)
        assert loss is not None
        return Share(gradients, loss)

    def any(self, *, mine: bool) -> bool:
        """Tell whether any worker says yes."""
        return self._exchange.largest(float(mine)) > 0

    def told(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Let the first worker compute figures and tell the others, a refusal too."""
        text = ""
        if self.rank == 0:
            try:
                text = json.dumps({"figures": compute()})
            except VizslaError as error:
                text = json.dumps({"error": error_record(error)})
        told = json.loads(self._exchange.text_from(0, text))
        if "error" in told:
            raise error_from(told["error"])
        figures: dict[str, float] = told["figures"]
        return figures

    def all_manage(self, work: Callable[[], Result]) -> Result:
        """Do something on every worker that must not fail on some of them alone.

        Raises:
            VizslaError: On all workers, what one of them raised.
        """
        failed: VizslaError | None = None
        result: Result | None = None
        try:
            result = work()
        except VizslaError as error:
            failed = error
        culprit = int(self._exchange.largest(-1.0 if failed is None else float(self.rank)))
        if culprit >= 0:
            own = json.dumps(error_record(failed)) if failed else ""
            raise error_from(json.loads(self._exchange.text_from(culprit, own))) from failed
        return cast("Result", result)

    def align(self, weights: Iterable[Tensor], serial: int) -> None:
        """Give all workers the first one's weights, if they go on from the same checkpoint."""
        newest = self._exchange.largest(serial)
        if self._exchange.largest(float(serial != newest)):
            raise UsageError(
                "the workers do not see the same checkpoint: "
                "--out must be a folder that all machines share"
            )
        for weight in weights:
            self._exchange.from_first(weight)

    def cost(self) -> TeamCost:
        """Return the cost since the last call."""
        return self._exchange.cost()
