"""A server that is too busy, broken inside, or on its way out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.app import build_app
from vizsla.config import Settings
from vizsla.contracts.api import Problem, RetrieveResponse
from vizsla.contracts.index import Query
from vizsla.testing.scorers import DotScorer

PATIENCE_S = 30.0


class GatedScorer(DotScorer):
    """Waits in ``user_state`` until its gate opens."""

    def __init__(self, item_vectors: Any) -> None:
        super().__init__(item_vectors)
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    def user_state(self, queries: Sequence[Query]) -> Any:
        self.arrived.release()
        assert self.gate.wait(PATIENCE_S)
        return super().user_state(queries)


class BrokenScorer(DotScorer):
    """Works until it is broken."""

    broken = False

    def user_state(self, queries: Sequence[Query]) -> Any:
        if self.broken:
            raise RuntimeError("out of memory")
        return super().user_state(queries)


def app_with(scorer_type: Any, run_dir: Path, **serving: Any) -> tuple[Any, Any]:
    made: list[Any] = []

    def load(bundle: Any) -> Any:
        made.append(scorer_type(bundle.item_vectors()))
        return made[0]

    serving = {"default_deadline_ms": 10_000, **serving}
    settings = Settings.model_validate({"serving": serving, "telemetry": {"access_log": False}})
    return build_app(settings, run_dir, load_scorer=load), made[0]


def test_too_many_requests_are_shed(running: Any, run_dir: Path) -> None:
    """Beyond the limit a request gets 503 with a time to retry; health checks answer meanwhile."""
    app, scorer = app_with(GatedScorer, run_dir, max_in_flight=1)
    with running(app) as client, ThreadPoolExecutor(1) as pool:
        while scorer.arrived.acquire(blocking=False):
            pass  # the warm-up's
        scorer.gate.clear()
        first = pool.submit(client.post, "/v1/retrieve", json={"user_id": "anna"})
        assert scorer.arrived.acquire(timeout=PATIENCE_S)
        shed = client.post("/v1/retrieve", json={"user_id": "anna"})
        alive = client.get("/healthz")
        scorer.gate.set()

        assert first.result(PATIENCE_S).status_code == 200
        assert shed.status_code == 503
        assert int(shed.headers["retry-after"]) >= 1
        assert Problem.model_validate_json(shed.content).type == "/problems/overloaded"
        assert alive.status_code == 200
        assert client.post("/v1/retrieve", json={"user_id": "anna"}).status_code == 200


def test_failed_search_is_answered_by_popularity(
    running: Any, run_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When the search fails the popular list is answered, named, counted and logged."""
    app, scorer = app_with(BrokenScorer, run_dir)
    with running(app) as client:
        scorer.broken = True
        answer = client.post("/v1/retrieve", json={"user_id": "anna", "k": 2})
        page = client.get("/metrics").text

    body = RetrieveResponse.model_validate_json(answer.content)
    assert [item.item_id for item in body.results[0].items] == ["item-0", "item-1"]
    assert [(d.stage, d.fallback, d.reason) for d in body.degraded] == [
        ("retrieve", "popular_list", "RuntimeError")
    ]
    assert 'vizsla_answers_degraded_total{reason="retrieve:popular_list"} 1.0' in page
    assert "stage retrieve failed" in caplog.text


def test_draining_server_is_not_ready_but_answers(running: Any, run_dir: Path) -> None:
    """After the signal to stop, readiness goes away at once and requests are still answered."""
    app, _ = app_with(DotScorer, run_dir)
    with running(app) as client:
        app.served.lifecycle.drain()
        ready = client.get("/readyz")

        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert client.post("/v1/retrieve", json={"user_id": "anna"}).status_code == 200
    assert app.served.lifecycle.phase == "stopped"


def test_scores_do_not_depend_on_neighbours(running: Any, run_dir: Path) -> None:
    """Concurrent requests get what they get alone."""
    app, _ = app_with(DotScorer, run_dir)
    bodies = [{"history": [f"item-{row % 40}"], "k": 7} for row in range(80)]
    with running(app) as client, ThreadPoolExecutor(8) as pool:
        alone = [client.post("/v1/retrieve", json=body).json()["results"] for body in bodies]
        together = list(pool.map(lambda body: client.post("/v1/retrieve", json=body), bodies))

    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(
            [item["score"] for item in one[0]["items"]],
            [item["score"] for item in other.json()["results"][0]["items"]],
        )
