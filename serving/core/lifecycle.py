"""The life of a server process."""

from __future__ import annotations

from enum import StrEnum

from vizsla.errors import ContractError

__all__ = ["Lifecycle", "Phase"]


class Phase(StrEnum):
    """``starting -> ready -> draining -> stopped``; a start may be broken off."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


_ALLOWED = {
    Phase.STARTING: {Phase.READY, Phase.STOPPED},
    Phase.READY: {Phase.DRAINING},
    Phase.DRAINING: {Phase.STOPPED},
    Phase.STOPPED: set[Phase](),
}


class Lifecycle:
    """What phase the process is in; ready is what ``/readyz`` says.

    Requests are answered in ``ready`` and ``draining``: a load balancer needs a
    moment to see that a draining server wants no more.

    Example:
        >>> life = Lifecycle()
        >>> life.enter(Phase.READY)
        >>> life.drain(), life.drain()
        (None, None)
        >>> life.phase
        <Phase.DRAINING: 'draining'>
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    def enter(self, phase: Phase) -> None:
        """Go on to a phase.

        Raises:
            ContractError: That phase does not follow this one.
        """
        if phase not in _ALLOWED[self.phase]:
            raise ContractError(f"a server that is {self.phase} cannot become {phase}")
        self.phase = phase

    def drain(self) -> None:
        """Want no more requests; may be asked for twice."""
        if self.phase == Phase.READY:
            self.enter(Phase.DRAINING)

    @property
    def is_ready(self) -> bool:
        """Whether new requests are wanted."""
        return self.phase == Phase.READY
