"""The app on Ray Serve, on a Ray that this command starts and ends."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from graph_index.shards.client import ShardClient
from serving.adapters.shard_handles import HandleShard
from serving.deployments import DEPLOYMENTS
from serving.deployments.shard import name_of
from serving.hosts.common import Announcer, bind, url_of
from vizsla.bundles import Bundle, load, open_shard, shard_item_nums
from vizsla.cli_output import say
from vizsla.clock import SystemClock
from vizsla.config import ServingSettings, Settings, export_environment
from vizsla.errors import ArtifactError

__all__ = ["ray_environment", "serve_on_ray"]

APP_NAME = "vizsla"
RAY_LOGS = "/tmp/ray/session_latest/logs/serve"
MIB = 1 << 20


def serve_on_ray(
    settings: Settings, bundle: Path, users_file: Path | None, tell: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are finished first.

    The arguments and errors are those of ``serving.hosts.embedded.serve_embedded``.
    The bundle is verified here too: a replica's refusal would be a traceback in Ray's log.
    """
    serving = settings.serving
    with bind(serving.host, serving.port) as probe:
        port = probe.getsockname()[1]
    opened = load(bundle)
    if not opened.manifest.publishable:
        say("warning: this bundle did not pass its gate; every answer says so")
    bundle, n_shards = opened.path.resolve(), _n_shards(opened)
    n_processes = serving.replicas + n_shards * serving.shard_replicas
    users_file = users_file.resolve() if users_file else None
    export_environment(ray_environment(serving, sharded=n_shards > 0))
    url = url_of(serving.host, port)
    with _ray(settings, n_processes), _signal_to_stop() as stop:
        _start(settings, port, bundle, users_file, n_shards)
        with Announcer(url, lambda: tell(url)):
            stop.wait()
        _drain()


def ray_environment(serving: ServingSettings, *, sharded: bool = False) -> dict[str, str]:
    """Return Ray's variables for our settings; Ray reads them when it is imported.

    A search waits in a thread for its shards, so what sends to them needs a loop of its own.
    """
    fast = "1" if serving.ingress == "haproxy" else "0"
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": fast,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": fast,
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        **({"RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1"} if sharded else {}),
    }


@contextlib.contextmanager
def _ray(settings: Settings, n_processes: int) -> Iterator[None]:
    import ray
    from ray import serve

    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        ray.init(
            address="local",
            num_cpus=n_processes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=settings.serving.ray_object_store_mb * MIB,
            _node_ip_address="127.0.0.1",
        )
        yield
    finally:
        # Ray prints the end of its own controller as a failed task
        with contextlib.redirect_stdout(io.StringIO()):
            serve.shutdown()
            ray.shutdown()


def connected_shards(bundle: Bundle) -> list[ShardClient]:
    """Reach the shards' deployments, from within a replica of the app."""
    from ray import serve

    clock = SystemClock()
    return [
        HandleShard(
            shard_item_nums(open_shard(bundle, number)),
            serve.get_deployment_handle(name_of(number), app_name=APP_NAME),
            clock,
        )
        for number in range(_n_shards(bundle))
    ]


def _n_shards(bundle: Bundle) -> int:
    shards = bundle.manifest.shards
    return 0 if shards is None else len(shards.shards)


def _start(
    settings: Settings, port: int, bundle: Path, users_file: Path | None, n_shards: int
) -> None:
    from ray import serve

    build, build_shard = DEPLOYMENTS.load("ingress"), DEPLOYMENTS.load("shard")
    shards = [build_shard(settings, bundle, number) for number in range(n_shards)]
    connect = connected_shards if shards else None
    serve.start(http_options={"host": settings.serving.host, "port": port})
    try:
        serve.run(
            build(settings, bundle, users_file, shards, connect), name=APP_NAME, route_prefix="/"
        )
    except RuntimeError as error:
        raise ArtifactError(f"the replica did not start: {_reason(error)}") from None


def _reason(error: RuntimeError) -> str:
    """Find our own error in what Ray reports of a replica, or say where Ray's log is."""
    from ray import serve

    deployments = serve.status().applications[APP_NAME].deployments.values()
    reports = [deployment.message.strip() for deployment in deployments if deployment.message]
    last = "\n".join([str(error), *reports]).splitlines()[-1]
    kind, _, said = last.partition(": ")
    ours = kind.startswith("vizsla.errors.")
    return said if ours else f"{last} (--embedded says more; Ray's log: {RAY_LOGS})"


def _drain() -> None:
    """Delete the app first: its replicas finish their requests while the proxy still answers."""
    from ray import serve

    serve.delete(APP_NAME)


@contextlib.contextmanager
def _signal_to_stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
