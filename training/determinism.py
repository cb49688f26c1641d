"""The conditions under which training gives the same bits twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from vizsla.rng import torch_generator

__all__ = ["StopFlag", "deterministic_torch", "stop_on_interrupt", "torch_threads"]


@contextmanager
def deterministic_torch(seed: int, threads: int) -> Iterator[None]:
    """Fix torch's global generator (dropout draws from it), threads and algorithms for a block.

    The number of threads is part of the result: sums are cut differently with another one.
    """
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]), torch_threads(threads):
        torch.random.set_rng_state(torch_generator(seed, "global").get_state())
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Give torch a number of threads for a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class StopFlag:
    """Whether somebody asked to stop; asked after every step, when all weights are whole."""

    def __init__(self) -> None:
        self.is_set = False
        self.at_once = False

    def __call__(self) -> bool:
        """Return whether the flag is set."""
        return self.is_set

    def stop_at_once(self) -> None:
        """From now on nobody asks after steps: interrupt where a signal comes, or came before.

        Raises:
            KeyboardInterrupt: The flag is set already.
        """
        self.at_once = True
        if self.is_set:
            raise KeyboardInterrupt


@contextmanager
def stop_on_interrupt(flag: StopFlag) -> Iterator[None]:
    """Turn the first Ctrl-C (or SIGTERM) into a set flag; a second one interrupts at once.

    So does the first one after ``StopFlag.stop_at_once``.
    """

    def ask(number: int, frame: FrameType | None) -> None:
        again, flag.is_set = flag.is_set, True
        if again or flag.at_once:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
