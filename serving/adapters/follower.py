"""A thread that looks after the live catalogue while the server runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["follower"]

_log = logging.getLogger("vizsla.serving")


@contextmanager
def follower(tend: Callable[[], None], interval_s: float) -> Iterator[None]:
    """Call ``tend`` again and again while the block runs; its errors are told, once each."""
    over = threading.Event()
    thread = threading.Thread(
        target=_follow, args=(tend, interval_s, over), name="follower", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(tend: Callable[[], None], interval_s: float, over: threading.Event) -> None:
    last = ""
    while not over.wait(interval_s):
        try:
            tend()
            last = ""
        except Exception as error:  # noqa: BLE001 - searches go on with what they have
            if str(error) != last:
                _log.error("item changes are not followed", exc_info=error)
            last = str(error)
