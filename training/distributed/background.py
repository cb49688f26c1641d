"""Long work in a thread, so that the main one can show progress and hear signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["watched"]

LOOK_EVERY_S = 0.2

Result = TypeVar("Result")


def watched(work: Callable[[], Result], look: Callable[[], bool]) -> Result | None:
    """Do work in a thread and look after it a few times per second.

    Args:
        work: Runs in a thread of its own; what it raises is raised here.
        look: Called while it runs; True leaves it behind.

    Returns:
        The work's result, or None when it was left behind.
    """
    found: list[Result] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LOOK_EVERY_S)
        if look():
            return None
    if failed:
        raise failed[0]
    return found[0]
