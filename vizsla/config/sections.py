"""Every setting with its default, its bounds and its meaning: a new one is a line here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "LiveSettings",
    "SearchSettings",
    "ServingSettings",
    "Settings",
    "TelemetrySettings",
    "setting_fields",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServingSettings(_Section):
    """The HTTP server."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 for any free one."
    )
    ingress: Literal["python", "haproxy"] = Field(
        default="python",
        description="Ray Serve's front: `python` binds `host` only, `haproxy` binds every interface.",
    )
    replicas: int = Field(default=1, ge=1, le=1024, description="Server processes under Ray Serve.")
    shard_replicas: int = Field(
        default=1, ge=1, le=1024, description="Processes per shard of a sharded bundle."
    )
    max_body_bytes: int = Field(default=1 << 20, ge=1024, description="Largest request body read.")
    default_k: int = Field(default=20, ge=1, description="Results when a request does not say.")
    max_k: int = Field(default=1000, ge=1, description="Most results that a request may ask for.")
    rank_candidates: int = Field(
        default=100,
        ge=0,
        le=1000,
        description="Items retrieved for the bundle's ranker to choose a slate from, where more "
        "than were asked for.",
    )
    max_batch: int = Field(default=64, ge=1, description="Most queries in one batch request.")
    max_history: int = Field(
        default=1000,
        ge=1,
        description="Most item ids in a request's history; the model reads the newest.",
    )
    default_deadline_ms: int = Field(
        default=200, ge=1, description="Time for an answer when a request has no `tmax`."
    )
    max_deadline_ms: int = Field(
        default=10_000, ge=1, description="Largest `tmax` that is granted."
    )
    max_in_flight: int = Field(
        default=64,
        ge=1,
        description="Requests worked on at once per process; more are shed with 503.",
    )
    search_threads: int = Field(
        default=2,
        ge=1,
        le=256,
        description="Searches that run at once per process; the others wait.",
    )
    scorer_threads: int = Field(
        default=1, ge=1, le=256, description="Threads that torch uses within one search."
    )
    device: str = Field(
        default="cpu",
        pattern=r"^(cpu|cuda(:\d{1,3})?)$",
        description="Where searches run: `cpu`, `cuda`, or `cuda:N` for the GPU numbered N.",
    )
    drain_timeout_s: float = Field(
        default=10.0, ge=0, le=600, description="Time for requests in flight to finish at shutdown."
    )
    ray_object_store_mb: int = Field(
        default=128, ge=80, description="Shared memory of a Ray that `vizsla serve` starts, in MiB."
    )

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> Self:
        if self.default_k > self.max_k:
            raise ValueError("serving.default_k is larger than serving.max_k")
        if self.default_deadline_ms > self.max_deadline_ms:
            raise ValueError("serving.default_deadline_ms is larger than serving.max_deadline_ms")
        return self


class SearchSettings(_Section):
    """Defaults of the graph walk; unset ones are taken from the bundle's own graph."""

    mode: Literal["auto", "walk", "exhaustive"] = Field(
        default="auto", description="How to search."
    )
    beam_width: int | None = Field(default=None, ge=1, description="Items kept between rounds.")
    entry_width: int | None = Field(default=None, ge=1, description="Entry points expanded first.")
    max_rounds: int | None = Field(default=None, ge=1, description="Bound on rounds.")
    max_scored: int | None = Field(
        default=None, ge=1, description="Bound on deep scores per query."
    )
    proxy_seeds: int | None = Field(
        default=None,
        ge=0,
        description="Items seeded by the score's dot product; 0 for entry points only.",
    )


class LiveSettings(_Section):
    """Changes of items while the server runs."""

    log: Path | None = Field(
        default=None,
        description="File of the item log; `items.sqlite` in the bundle's run directory if unset.",
    )
    poll_ms: int = Field(
        default=100,
        ge=1,
        le=60_000,
        description="How often a process looks for changes that others accepted, in ms.",
    )
    heal_after_ms: int = Field(
        default=5000,
        ge=0,
        le=600_000,
        description="How long the graph goes on leading through a few removed items, in ms; "
        "many are linked around at once.",
    )
    max_items: int = Field(
        default=1000, ge=1, le=10_000, description="Most items in one batch of changes."
    )


class TelemetrySettings(_Section):
    """Logs and metrics."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written."
    )
    log_format: Literal["json", "text"] = Field(
        default="text", description="`json` for machines, `text` for people."
    )
    access_log: bool = Field(default=True, description="Write one log line per request.")


class Settings(_Section):
    """All settings of a process; frozen."""

    home: Path = Field(
        default=Path(".vizsla"), description="Where datasets and quickstart results go."
    )
    data_dir: Path | None = Field(
        default=None, description="Folder of raw datasets that need not be downloaded."
    )
    serving: ServingSettings = ServingSettings()
    search: SearchSettings = SearchSettings()
    live: LiveSettings = LiveSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def setting_fields() -> dict[str, tuple[type[BaseModel], str]]:
    """Return every setting's dotted name with the model and field that declare it."""
    return dict(_fields(Settings, ""))


def _fields(
    model: type[BaseModel], prefix: str
) -> Iterator[tuple[str, tuple[type[BaseModel], str]]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, (model, name)
