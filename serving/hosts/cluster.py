"""The app on Ray Serve, on a Ray that this command starts and ends."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.deployments import DEPLOYMENTS
from serving.hosts.common import Announcer, bind, url_of
from vizsla.bundles import load
from vizsla.cli_output import say
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
    bundle = opened.path.resolve()
    users_file = users_file.resolve() if users_file else None
    export_environment(ray_environment(serving))
    url = url_of(serving.host, port)
    with _ray(settings), _signal_to_stop() as stop:
        _start(settings, port, bundle, users_file)
        with Announcer(url, lambda: tell(url)):
            stop.wait()
        _drain()


def ray_environment(serving: ServingSettings) -> dict[str, str]:
    """Return Ray's variables for our settings; Ray reads them when it is imported."""
    fast = "1" if serving.ingress == "haproxy" else "0"
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": fast,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": fast,
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


@contextlib.contextmanager
def _ray(settings: Settings) -> Iterator[None]:
    import ray
    from ray import serve

    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        ray.init(
            address="local",
            num_cpus=settings.serving.replicas,
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


def _start(settings: Settings, port: int, bundle: Path, users_file: Path | None) -> None:
    from ray import serve

    build = DEPLOYMENTS.load("ingress")
    serve.start(http_options={"host": settings.serving.host, "port": port})
    try:
        serve.run(build(settings, bundle, users_file), name=APP_NAME, route_prefix="/")
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
