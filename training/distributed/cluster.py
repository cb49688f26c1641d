"""A Ray for the length of a block: one that is started here, or one that runs already."""

from __future__ import annotations

import contextlib
import importlib
import logging
import signal
from collections.abc import Iterator

from vizsla.config import export_environment
from vizsla.errors import UsageError

__all__ = ["LOCAL", "ray_cluster"]

LOCAL = "local"
"""Address that stands for a Ray of one's own, on this machine."""

_MIB = 1 << 20
_OBJECT_STORE_BYTES = 256 * _MIB
_QUIET = ("ray", "ray.train", "ray.tune", "ray.data", "ray._private")
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


@contextlib.contextmanager
def ray_cluster(address: str, n_cpus: int) -> Iterator[None]:
    """Start Ray with ``n_cpus`` cores and end it, or join the one at ``address`` and leave it.

    Raises:
        UsageError: Ray's training libraries are not installed, or no Ray is at the address.
    """
    export_environment(_ENVIRONMENT)
    _import_all()
    import ray

    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    own = {
        "num_cpus": n_cpus,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
    }
    with _handlers_kept():
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address == LOCAL else {}),
            )
        except ConnectionError as error:
            raise UsageError(
                f"--ray-address {address}: no Ray can be joined there "
                "(is it running, and is RAY_AUTH_MODE here as it is there?)"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put back the signal handlers that Ray replaces: with its own, SIGTERM ends us at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _import_all() -> None:
    """Import what needs more than Ray itself."""
    try:
        for name in ("ray.train.torch", "ray.data", "ray.tune"):
            importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            "this needs Ray with its training libraries: pip install 'vizsla[scale]'"
        ) from error
