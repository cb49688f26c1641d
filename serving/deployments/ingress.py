"""The ingress: the whole app in one replica, since every hop would cost a millisecond."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from serving.adapters.envelope import Envelope
from serving.adapters.shards import Connect
from serving.app import build_app
from vizsla.config import Settings
from vizsla.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["build_deployment"]


def build_deployment(
    settings: Settings,
    bundle: Path,
    users_file: Path | None,
    shards: Sequence[Application] = (),
    connect: Connect | None = None,
) -> Application:
    """Return the Serve application; the app is built inside each replica.

    Ray's own limits stand above ours: what it refuses would not be a problem document.
    Ray is imported here, since it reads its variables when it is imported.
    """
    from ray import serve

    def build() -> Envelope:
        configure_logs(settings.telemetry)
        make = partial(build_app, settings, bundle, users_file, connect=connect, echoes_id=False)
        # opening asks the shards, and Ray lets nobody wait for them on an event loop's thread
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(make).result()

    serving = settings.serving
    deployment = serve.deployment(
        name="vizsla",
        num_replicas=serving.replicas,
        max_ongoing_requests=4 * serving.max_in_flight,
        max_queued_requests=-1,
        max_constructor_retry_count=1,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=serving.drain_timeout_s,
        ray_actor_options={"num_cpus": 1},
    )
    return deployment(serve.ingress(build)()).bind(*shards)
