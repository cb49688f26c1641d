"""The phases of a server process."""

from __future__ import annotations

import pytest

from serving.core.lifecycle import Lifecycle, Phase
from vizsla.errors import ContractError


def test_goes_from_start_to_stop() -> None:
    """A server starts, is ready, drains and stops; only in between is it ready."""
    life = Lifecycle()
    seen = [life.is_ready]
    for phase in (Phase.READY, Phase.DRAINING, Phase.STOPPED):
        life.enter(phase)
        seen.append(life.is_ready)

    assert seen == [False, True, False, False]


def test_drain_before_ready_changes_nothing() -> None:
    """A signal during the start does not put the server into draining."""
    life = Lifecycle()
    life.drain()

    assert life.phase == Phase.STARTING


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.READY])
def test_no_way_back(phase: Phase) -> None:
    """A stopped server does not start again."""
    life = Lifecycle()
    life.enter(Phase.STOPPED)

    with pytest.raises(ContractError, match="stopped"):
        life.enter(phase)
