"""Puts the values of all sources together and checks them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vizsla.config.sections import Settings, setting_fields
from vizsla.config.sources import (
    CONFIG_VARIABLE,
    Given,
    from_environment,
    from_file,
    known_setting,
)
from vizsla.errors import ConfigError

__all__ = [
    "Resolved",
    "default_threads",
    "export_environment",
    "load_settings",
    "resolve_settings",
    "use_config_file",
]

DEFAULT_FILE = Path("vizsla.toml")

_chosen_file: ContextVar[Path | None] = ContextVar("config_file", default=None)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings with where each value came from.

    Attributes:
        settings: The values.
        origins: Dotted name to ``default``, ``FILE``, ``$VARIABLE`` or ``flag``, for every setting.
    """

    settings: Settings
    origins: dict[str, str]


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
    given = dict(from_file(_file(config_file, variables)))
    _check_types(given)
    given.update(from_environment(variables))
    for name, text in (overrides or {}).items():
        given[known_setting(name, f"flag {name}")] = Given(text, "flag", f"flag {name}")
    return _validated(given)


def use_config_file(path: Path) -> None:
    """Make a file the default of this context; the command line's ``--config``."""
    _chosen_file.set(path)


def export_environment(variables: Mapping[str, str]) -> None:
    """Set variables that a library reads when it is imported, here and in child processes.

    Ray's switches are derived from our settings this way, so that nobody sets them by hand.
    """
    os.environ.update(variables)


def default_threads(environ: Mapping[str, str] | None = None) -> int:
    """Return how many threads a computation takes where nobody says: one per core.

    ``OMP_NUM_THREADS`` is the operator's word on it, for this and every other library.  Of a
    list (one number per nesting level) the first counts; what is no such number says nothing.

    Args:
        environ: Instead of the process's environment, for tests.

    Example:
        >>> default_threads({"OMP_NUM_THREADS": "3"}), default_threads({"OMP_NUM_THREADS": "2,1"})
        (3, 2)
    """
    variables = os.environ if environ is None else environ
    said = variables.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if said.isascii() and said.isdecimal() and int(said) > 0:
        return int(said)
    return os.cpu_count() or 1


def _file(path: Path | None, variables: Mapping[str, str]) -> Path | None:
    named = path or _chosen_file.get() or Path(variables.get(CONFIG_VARIABLE) or "")
    if named != Path():
        return named
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _check_types(given: Mapping[str, Given]) -> None:
    """Refuse a file's value of another type, such as a port in quotes or ``true`` for a number.

    Whether values fit together is for later: the environment may still change some.
    """
    try:
        Settings.model_validate_json(json.dumps(_tree(given), default=str), strict=True)
    except ValidationError as error:
        if any(_name(problem["loc"]) in given for problem in error.errors()):
            raise ConfigError(_explain(error, given)) from None


def _validated(given: Mapping[str, Given]) -> Resolved:
    try:
        settings = Settings.model_validate(_tree(given))
    except ValidationError as error:
        raise ConfigError(_explain(error, given)) from None
    origins = dict.fromkeys(setting_fields(), "default")
    origins.update({name: item.origin for name, item in given.items()})
    return Resolved(settings, origins)


def _tree(given: Mapping[str, Given]) -> dict[str, object]:
    """Nest dotted names as the sections they stand for."""
    sections: dict[str, dict[str, object]] = {"": {}}
    for name, item in given.items():
        section, _, key = name.rpartition(".")
        sections.setdefault(section, {})[key] = item.value
    return {**sections.pop(""), **sections}


def _explain(error: ValidationError, given: Mapping[str, Given]) -> str:
    """Say in one line what is wrong with the first wrong value, and where it stands."""
    first = error.errors(include_url=False)[0]
    name = _name(first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if name not in given:
        return f"settings do not fit together: {first['msg'].removeprefix('Value error, ')}{more}"
    return f"{given[name].label}: {first['msg']}, got {first['input']!r}{more}"


def _name(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place))
