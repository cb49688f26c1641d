"""One Ray task per shard, on a Ray that is started for the build and ended with it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator

from graph_index.shards.build import ShardJob, build_shard
from vizsla.config import export_environment
from vizsla.errors import UsageError, VizslaError

__all__ = ["build_on_ray"]

_OBJECT_STORE_BYTES = 80 << 20
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def build_on_ray(job: ShardJob, numbers: list[int]) -> Iterator[int]:
    """Build shards side by side, as many as there are cores; yield each number when it is done.

    Raises:
        UsageError: Ray is not installed.
        VizslaError: What a task raised.
    """
    if not numbers:
        return
    with _ray():
        import ray

        task = ray.remote(num_cpus=1, max_retries=1)(build_shard)
        owed = {task.remote(job, number): number for number in numbers}
        while owed:
            done, _ = ray.wait(list(owed), num_returns=1)
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, VizslaError) else error from None
            yield owed.pop(done[0])


@contextlib.contextmanager
def _ray() -> Iterator[None]:
    export_environment(_ENVIRONMENT)
    try:
        import ray
    except ImportError:
        raise UsageError("this needs Ray: pip install 'vizsla[serving]', or give --local") from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    with _handlers_kept():
        ray.init(
            address="local",
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
        )
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
