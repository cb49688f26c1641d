"""A bounded closed-loop client: each of C clients sends its next request after the last answer.

It finds errors and gives latencies at a fixed number of clients.  It does not find the
highest load a server takes: a closed loop slows down with the server.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from vizsla.clock import Clock, SystemClock

__all__ = ["Outcome", "Report", "Shot", "run_closed_loop"]


@dataclass(frozen=True, slots=True)
class Shot:
    """One request to send."""

    path: str
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back.

    Attributes:
        row: Which of the shots it answers.
        status: HTTP status, 0 when there was no answer.
        body: The answer's body, or the error's text.
        media_type: Of the body.
        took_s: Seconds from sending to the last byte.
    """

    row: int
    status: int
    body: bytes
    media_type: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes, in the order of the shots, and how long it took in all."""

    outcomes: list[Outcome]
    took_s: float

    def percentile_ms(self, share: float) -> float:
        """Return a latency percentile by nearest rank; ``share`` is in (0, 1]."""
        ordered = sorted(outcome.took_s for outcome in self.outcomes)
        return 1000 * ordered[math.ceil(share * len(ordered)) - 1]

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.outcomes) / self.took_s


def run_closed_loop(
    url: str,
    shots: Sequence[Shot],
    n_clients: int = 8,
    *,
    timeout_s: float = 30.0,
    clock: Clock | None = None,
) -> Report:
    """Send all shots from ``n_clients`` concurrent keep-alive connections.

    Args:
        url: Of the server.
        shots: What to send, in this order.
        n_clients: Threads, each with a connection of its own.
        timeout_s: Of one request.
        clock: For tests.
    """
    clock = clock or SystemClock()
    waiting = iter(enumerate(shots))
    turn = threading.Lock()
    outcomes: list[Outcome] = []

    def work() -> None:
        with httpx.Client(base_url=url, timeout=timeout_s, trust_env=False) as client:
            for row, shot in _shared(waiting, turn):
                outcomes.append(_send(client, row, shot, clock))

    threads = [threading.Thread(target=work) for _ in range(n_clients)]
    started_s = clock.monotonic_s()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = clock.monotonic_s() - started_s
    return Report(sorted(outcomes, key=lambda outcome: outcome.row), took_s)


def _shared(
    waiting: Iterator[tuple[int, Shot]], turn: threading.Lock
) -> Iterator[tuple[int, Shot]]:
    """Yield from an iterator that several threads take from."""
    while True:
        with turn:
            following = next(waiting, None)
        if following is None:
            return
        yield following


def _send(client: httpx.Client, row: int, shot: Shot, clock: Clock) -> Outcome:
    started_s = clock.monotonic_s()
    try:
        answer = client.request(
            shot.method, shot.path, content=shot.body, headers=dict(shot.headers)
        )
    except httpx.HTTPError as error:
        return Outcome(row, 0, repr(error).encode(), "", clock.monotonic_s() - started_s)
    kind = answer.headers.get("content-type", "")
    return Outcome(row, answer.status_code, answer.content, kind, clock.monotonic_s() - started_s)
