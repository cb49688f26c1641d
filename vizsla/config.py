"""Settings: defaults, then a TOML file, then the environment, then flags; each with its origin.

The only module that reads the environment.  An unknown name is an error with
the nearest known one, and a wrong value is reported with the file and key, the
variable or the flag that it came from.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vizsla.errors import ConfigError

__all__ = [
    "ENV_PREFIX",
    "Resolved",
    "SearchSettings",
    "ServingSettings",
    "Settings",
    "TelemetrySettings",
    "export_environment",
    "load_settings",
    "resolve_settings",
    "setting_fields",
    "use_config_file",
]

ENV_PREFIX = "VIZSLA_"
CONFIG_VARIABLE = "VIZSLA_CONFIG"
DEFAULT_FILE = Path("vizsla.toml")
MAX_FILE_BYTES = 1 << 20

# Read by the tests and by continuous integration, never settings of the product.
NOT_SETTINGS = {CONFIG_VARIABLE, "VIZSLA_REQUIRE_DATA"}

_chosen_file: ContextVar[Path | None] = ContextVar("config_file", default=None)


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
    max_body_bytes: int = Field(default=1 << 20, ge=1024, description="Largest request body read.")
    default_k: int = Field(default=20, ge=1, description="Results when a request does not say.")
    max_k: int = Field(default=1000, ge=1, description="Most results that a request may ask for.")
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
    telemetry: TelemetrySettings = TelemetrySettings()


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings with where each value came from.

    Attributes:
        settings: The values.
        origins: Dotted name to ``default``, ``FILE``, ``$VARIABLE`` or ``flag``, for every setting.
    """

    settings: Settings
    origins: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str
    label: str


def load_settings(
    config_file: Path | None = None, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings of this process.

    Args:
        config_file: A TOML file; None takes the one given with ``vizsla --config``, then
            ``$VIZSLA_CONFIG``, then ``vizsla.toml`` in the working directory if it is there.
        overrides: Dotted setting name to value as text, from flags; the last word.

    Raises:
        ConfigError: An unknown name or a wrong value; the message says where it stands.

    Example:
        >>> load_settings(overrides={"serving.port": "9000"}).serving.port
        9000
    """
    return resolve_settings(config_file, overrides).settings


def resolve_settings(
    config_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Resolved:
    """Read the settings and where each came from; see ``load_settings``.

    Args:
        config_file: See ``load_settings``.
        overrides: See ``load_settings``.
        environ: Instead of the process's environment, for tests.
    """
    variables = os.environ if environ is None else environ
    given = dict(_from_file(_file(config_file, variables)))
    _check_types(given)
    given.update(_from_environment(variables))
    for name, text in (overrides or {}).items():
        given[_known(name, f"flag {name}")] = _Given(text, "flag", f"flag {name}")
    return _validated(given)


def use_config_file(path: Path) -> None:
    """Make a file the default of this context; the command line's ``--config``."""
    _chosen_file.set(path)


def export_environment(variables: Mapping[str, str]) -> None:
    """Set variables that a library reads when it is imported, here and in child processes.

    Ray's switches are derived from our settings this way, so that nobody sets them by hand.
    """
    os.environ.update(variables)


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


def _file(path: Path | None, variables: Mapping[str, str]) -> Path | None:
    named = path or _chosen_file.get() or Path(variables.get(CONFIG_VARIABLE) or "")
    if named != Path():
        return named
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _from_file(path: Path | None) -> Iterator[tuple[str, _Given]]:
    if path is None:
        return
    for name, value in _flat(_read_toml(path), ""):
        yield _known(name, str(path)), _Given(value, str(path), f"{path}: {name}")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes, not a settings file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such settings file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict) and (value or prefix + key not in _sections()):
            yield from _flat(value or {"": None}, f"{prefix}{key}.")
        elif not isinstance(value, dict):
            yield prefix + key, value


def _from_environment(variables: Mapping[str, str]) -> Iterator[tuple[str, _Given]]:
    for variable in sorted(variables):
        # An empty variable is how shells and containers say "not set".
        wanted = variable.startswith(ENV_PREFIX) and variables[variable] != ""
        if wanted and variable not in NOT_SETTINGS:
            name = variable.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            known = _known(name, f"${variable}")
            yield known, _Given(variables[variable], f"${variable}", f"${variable}")


def _sections() -> set[str]:
    return {name.rpartition(".")[0] for name in setting_fields()} - {""}


def _known(name: str, place: str) -> str:
    known = setting_fields()
    if name in known:
        return name
    if name in _sections():
        raise ConfigError(f"{place}: {name!r} is a section, not a setting; set {name}.KEY")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; see `vizsla config show`"
    raise ConfigError(f"{place}: unknown setting {name!r}{hint}")


def _check_types(given: Mapping[str, _Given]) -> None:
    """Refuse a file's value of another type, such as a port in quotes or ``true`` for a number."""
    try:
        Settings.model_validate_json(json.dumps(_tree(given), default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(_explain(error, given)) from None


def _validated(given: Mapping[str, _Given]) -> Resolved:
    try:
        settings = Settings.model_validate(_tree(given))
    except ValidationError as error:
        raise ConfigError(_explain(error, given)) from None
    origins = dict.fromkeys(setting_fields(), "default")
    origins.update({name: item.origin for name, item in given.items()})
    return Resolved(settings, origins)


def _tree(given: Mapping[str, _Given]) -> dict[str, object]:
    """Nest dotted names as the sections they stand for."""
    sections: dict[str, dict[str, object]] = {"": {}}
    for name, item in given.items():
        section, _, key = name.rpartition(".")
        sections.setdefault(section, {})[key] = item.value
    return {**sections.pop(""), **sections}


def _explain(error: ValidationError, given: Mapping[str, _Given]) -> str:
    """Say in one line what is wrong with the first wrong value, and where it stands."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if name not in given:
        return f"settings do not fit together: {first['msg'].removeprefix('Value error, ')}{more}"
    return f"{given[name].label}: {first['msg']}, got {first['input']!r}{more}"
