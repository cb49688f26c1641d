"""What works on the server during a soak: searchers, an updater, and the ledger of its changes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from loadtest.server_process import ServerProcess
from loadtest.soak_memory import MemoryWatch
from vizsla.clock import Clock

__all__ = ["POOL", "Ledger", "Life", "Soak"]

POOL = 500
"""Items that are made, changed, paused and removed."""

RETRY_S = 0.05
CHECK_S = 120.0


@dataclass(slots=True)
class Ledger:
    """What was acknowledged: item to its state, and since when an item must not be answered."""

    states: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    hidden_since_s: dict[str, float] = field(default_factory=dict)
    in_doubt: set[str] = field(default_factory=set)
    n_acknowledged: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, item_id: str) -> None:
        """A change of the item is on its way: either state may be seen."""
        with self.lock:
            self.hidden_since_s.pop(item_id, None)
            self.in_doubt.add(item_id)

    def acknowledge(self, item_id: str, state: dict[str, Any] | None, now_s: float) -> None:
        """Note a state that the server has promised to keep; None for removed."""
        with self.lock:
            self.states[item_id] = state
            self.n_acknowledged += 1
            self.in_doubt.discard(item_id)
            if state is None or not state["active"]:
                self.hidden_since_s[item_id] = now_s

    def hidden_before(self, now_s: float) -> set[str]:
        """Return the items that no answer to a question of ``now_s`` may hold."""
        with self.lock:
            return {item for item, since_s in self.hidden_since_s.items() if since_s < now_s}

    def still_hidden(self, items: set[str]) -> set[str]:
        """Return which of the items are hidden now too, so were all the while."""
        with self.lock:
            return items & self.hidden_since_s.keys()


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the server: its memory, and how long the next one took to be ready."""

    memory: MemoryWatch
    restart_s: float


@dataclass(slots=True)
class Soak:
    """One soak: its counts, and everything found wrong."""

    server: ServerProcess
    clock: Clock
    ledger: Ledger = field(default_factory=Ledger)
    wrong: list[str] = field(default_factory=list)
    search_ms: list[float] = field(default_factory=list)
    change_ms: list[float] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    n_graph_checks: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def search(self, base_items: Sequence[str], seed: int) -> None:
        """Search until the end; an answer with a hidden item is wrong."""
        generator = np.random.default_rng([seed, 1])
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            while not self.over.is_set():
                history = generator.choice(base_items, size=5).tolist()
                body = {"history": history, "k": 200, "tmax": 5000, "mode": "walk"}
                self._ask(client, body)

    def _ask(self, client: httpx.Client, body: dict[str, Any]) -> None:
        started_s = self.clock.monotonic_s()
        hidden = self.ledger.hidden_before(started_s)
        try:
            answer = client.post(f"{self.server.url}/v1/retrieve", json=body)
        except httpx.HTTPError:
            self.over.wait(RETRY_S)  # the server is down; it is started again elsewhere
            return
        if answer.status_code != 200:
            self.wrong.append(f"a search got {answer.status_code}: {answer.text[:200]}")
            return
        self.search_ms.append(1000 * (self.clock.monotonic_s() - started_s))
        items = {item["item_id"] for item in answer.json()["results"][0]["items"]}
        if shown := self.ledger.still_hidden(items & hidden):
            self.wrong.append(f"a search returned {sorted(shown)[:3]}, which must not be")

    def change(self, base_items: Sequence[str], seed: int, pause_s: float) -> None:
        """Change items until the end, each change sent until it is acknowledged."""
        generator = np.random.default_rng([seed, 2])
        number = 0
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            while not self.over.wait(pause_s):
                number += 1
                item_id = f"soak-{generator.integers(POOL)}"
                record, state = _drawn(generator, base_items, item_id, number)
                record["event_id"] = f"soak-{seed}-{number}"
                self.ledger.begin(item_id)
                self._send(client, record, state)

    def _send(
        self, client: httpx.Client, record: dict[str, Any], state: dict[str, Any] | None
    ) -> None:
        while not self.over.is_set():
            started_s = self.clock.monotonic_s()
            try:
                answer = client.post(f"{self.server.url}/v1/items:batch", json={"items": [record]})
            except httpx.HTTPError:
                self.over.wait(RETRY_S)
                continue
            if answer.status_code == 503:
                self.over.wait(RETRY_S)
                continue
            if answer.status_code != 200:
                self.wrong.append(f"a change got {answer.status_code}: {answer.text[:200]}")
                return
            result = answer.json()["results"][0]
            # a removal that was in the log before the kill finds nothing to remove
            if result["status"] == "refused" and record["action"] != "remove":
                self.wrong.append(f"a change was refused: {result['detail']}")
                return
            self.change_ms.append(1000 * (self.clock.monotonic_s() - started_s))
            self.ledger.acknowledge(record["item_id"], state, self.clock.monotonic_s())
            return

    def check_graph(self) -> None:
        """Let the server check every neighbour row that its searches walk now."""
        answer = httpx.get(f"{self.server.url}/graphz", timeout=CHECK_S, trust_env=False)
        self.n_graph_checks += 1
        if answer.status_code != 200:
            self.wrong.append(f"the graph of life {len(self.lives) + 1}: {answer.text[:300]}")

    def verify(self, generator: np.random.Generator, at_most: int) -> None:
        """Compare what the server knows with the ledger; called while nothing changes."""
        names = sorted(self.ledger.states.keys() - self.ledger.in_doubt)
        chosen = generator.permutation(len(names))[:at_most]
        with httpx.Client(timeout=30.0, trust_env=False) as client:
            for item_id in (names[row] for row in chosen.tolist()):
                expected = self.ledger.states[item_id]
                answer = client.get(f"{self.server.url}/v1/items/{item_id}")
                found = answer.json() if answer.status_code == 200 else None
                if not _agrees(found, expected):
                    self.wrong.append(f"{item_id}: acknowledged {expected}, found {found}")


def _drawn(
    generator: np.random.Generator, base_items: Sequence[str], item_id: str, number: int
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Draw a change: four in ten move, three pause, three remove."""
    if generator.random() < 0.3:
        return {"item_id": item_id, "action": "remove"}, None
    active = bool(generator.random() < 0.6)
    record = {
        "item_id": item_id,
        "action": "put",
        "similar_items": generator.choice(base_items, size=2, replace=False).tolist(),
        "attributes": {"revision": number},
        "active": active,
    }
    return record, {"active": active, "revision": number}


def _agrees(found: dict[str, Any] | None, expected: dict[str, Any] | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    known = {"active": found["active"], "revision": found["attributes"].get("revision")}
    return known == expected
