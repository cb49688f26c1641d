"""What both hosts need: a free port, and word that the server answers."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import httpx

from vizsla.errors import ConfigError

__all__ = ["Announcer", "bind", "url_of"]

POLL_S = 0.1


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening address; port 0 takes any free one.

    Raises:
        ConfigError: The port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small writes at once only where the protocol is named; or an answer's body
    # waits for the client's delayed acknowledgement of its headers, about 40 ms
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen on {host}:{port}: {why}; choose another with --host and --port"
        ) from None
    return bound


def url_of(host: str, port: int) -> str:
    """Return the address at which this machine reaches a server bound to ``host``.

    Example:
        >>> url_of("0.0.0.0", 8000), url_of("::1", 80)
        ('http://127.0.0.1:8000', 'http://[::1]:80')
    """
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


class Announcer:
    """Asks ``/readyz`` until it is green and then tells, from a thread of its own.

    Args:
        url: Of the server.
        tell: Called once, when the server answers.
    """

    def __init__(self, url: str, tell: Callable[[], None]) -> None:
        self._url = url
        self._tell = tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="announcer", daemon=True)

    def __enter__(self) -> Announcer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every poll
        with httpx.Client(base_url=self._url, timeout=5.0, trust_env=False) as client:
            while not self._over.wait(POLL_S):
                if _is_ready(client):
                    self._tell()
                    return


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False
