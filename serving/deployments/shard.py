"""One shard of a catalogue: searched in a replica of its own, whichever machine that is on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from graph_index.shards.engine import ShardEngine
from serving.adapters.shards import shard_scorer_loader
from vizsla.config import Settings
from vizsla.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["build_deployment", "name_of"]

_HEALTH_CHECK_S = 1.0
"""A dead replica is noticed by its next health check, and then started again."""


def name_of(number: int) -> str:
    """Return the deployment's name."""
    return f"shard-{number}"


def build_deployment(settings: Settings, bundle: Path, number: int) -> Application:
    """Return the Serve deployment of one shard; the shard is opened inside its replica."""
    from ray import serve

    class Shard(ShardEngine):
        def __init__(self) -> None:
            configure_logs(settings.telemetry)
            super().__init__(bundle, number, shard_scorer_loader(settings.serving.scorer_threads))

    deployment = serve.deployment(
        name=name_of(number),
        num_replicas=settings.serving.shard_replicas,
        max_ongoing_requests=settings.serving.search_threads * settings.serving.replicas,
        max_queued_requests=4 * settings.serving.max_in_flight,
        health_check_period_s=_HEALTH_CHECK_S,
        max_constructor_retry_count=1,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=settings.serving.drain_timeout_s,
        ray_actor_options={"num_cpus": 1},
    )
    return deployment(Shard).bind()
