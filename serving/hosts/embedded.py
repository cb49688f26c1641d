"""The app under uvicorn in this process: no Ray, up in seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from serving.adapters.envelope import Envelope
from serving.app import build_app
from serving.hosts.common import Announcer, bind, url_of
from vizsla.config import Settings
from vizsla.telemetry.logs import configure_logs

__all__ = ["serve_embedded"]

BACKLOG = 1024


class _Server(uvicorn.Server):
    """Stops on SIGINT or SIGTERM by draining, and returns instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, app: Envelope) -> None:
        super().__init__(config)
        self._app = app

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the two signals while the server runs."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Want no more requests; a second signal does not wait for those in flight."""
        self._app.served.lifecycle.drain()
        self.force_exit = self.should_exit
        self.should_exit = True


def serve_embedded(
    settings: Settings, bundle: Path, users_file: Path | None, tell: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are finished first.

    Args:
        settings: All settings.
        bundle: A bundle or run directory.
        users_file: See ``serving.app.build_app``.
        tell: Called with the server's address once it answers.

    Raises:
        ConfigError: The port is in use.
        VizslaError: The bundle or the users file cannot be used.
    """
    configure_logs(settings.telemetry)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    host = settings.serving.host
    with bind(host, settings.serving.port) as listening:
        app = build_app(settings, bundle, users_file)
        url = url_of(host, listening.getsockname()[1])
        server = _Server(_config(app, settings), app)
        with Announcer(url, lambda: tell(url)):
            asyncio.run(server.serve([listening]))


def _config(app: Envelope, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.serving.drain_timeout_s),
    )
