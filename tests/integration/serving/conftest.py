"""The whole app over the tiny bundle, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from graph_index.attach import build_index
from serving.app import build_app
from vizsla.bundles import Bundle
from vizsla.config import Settings
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.scorers import DotScorer


def dot_scorer(bundle: Bundle) -> DotScorer:
    return DotScorer(bundle.item_vectors())


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory: 40 items with a graph, and three users."""
    folder = tmp_path_factory.mktemp("run")
    bundle = build_index(tiny_bundle(folder / "bundles"), folder / "bundles")
    (folder / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    histories = [["item-1", "item-2"], [], ["gone"]]
    users = pa.table({"user_id": ["anna", "ben", "eve"], "history": histories})
    pq.write_table(users, folder / "users.parquet")
    return folder


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.model_validate(
        {"serving": {"default_deadline_ms": 5000}, "telemetry": {"access_log": False}}
    )


class AppClient:
    """Speaks HTTP to an ASGI app in another thread's event loop."""

    def __init__(self, portal: BlockingPortal, app: Any) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://vizsla")
        self._portal = portal
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            return await self._client.request(method, path, **options)

        return self._portal.call(send)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str) -> httpx.Response:
        return self.request("HEAD", path)

    def options(self, path: str) -> httpx.Response:
        return self.request("OPTIONS", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


Running = Callable[[Any], AbstractContextManager[AppClient]]


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start and stop an app as a server does."""
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))
    for word in ("startup", "shutdown"):
        await inbox.put({"type": f"lifespan.{word}"})
        assert (await outbox.get())["type"] == f"lifespan.{word}.complete"
        if word == "startup":
            yield
    await task


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def running(portal: BlockingPortal) -> Running:
    """Start an app for the length of a ``with`` block."""

    @contextmanager
    def start(app: Any) -> Iterator[AppClient]:
        with portal.wrap_async_context_manager(lifespan(app)):
            yield AppClient(portal, app)

    return start


@pytest.fixture(scope="session")
def client(running: Running, run_dir: Path, settings: Settings) -> Iterator[AppClient]:
    with running(build_app(settings, run_dir, load_scorer=dot_scorer)) as client:
        yield client
