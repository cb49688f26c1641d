"""Where values come from: a TOML file and the environment."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vizsla.config.sections import setting_fields
from vizsla.errors import ConfigError

__all__ = [
    "CONFIG_VARIABLE",
    "ENV_PREFIX",
    "Given",
    "from_environment",
    "from_file",
    "known_setting",
]

ENV_PREFIX = "VIZSLA_"
CONFIG_VARIABLE = "VIZSLA_CONFIG"
MAX_FILE_BYTES = 1 << 20

# Read by the tests and by continuous integration, never settings of the product.
NOT_SETTINGS = {CONFIG_VARIABLE, "VIZSLA_REQUIRE_DATA"}
KUBERNETES_SERVICE = re.compile(r"VIZSLA(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)")


@dataclass(frozen=True, slots=True)
class Given:
    """One value that somebody gave.

    Attributes:
        value: As it stands there.
        origin: ``FILE``, ``$VARIABLE`` or ``flag``.
        label: Where exactly, for a message.
    """

    value: object
    origin: str
    label: str


def from_file(path: Path | None) -> Iterator[tuple[str, Given]]:
    """Yield what a TOML file sets; nothing for None."""
    if path is None:
        return
    for name, value in _flat(_read_toml(path), ""):
        yield known_setting(name, str(path)), Given(value, str(path), f"{path}: {name}")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes, not a settings file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such settings file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict) and (value or prefix + key not in _sections()):
            yield from _flat(value or {"": None}, f"{prefix}{key}.")
        elif not isinstance(value, dict):
            yield prefix + key, value


def from_environment(variables: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    """Yield what the environment sets."""
    for variable, text in sorted(variables.items()):
        if variable.startswith(ENV_PREFIX) and not _is_foreign(variable, text):
            name = variable.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            yield known_setting(name, f"${variable}"), Given(text, f"${variable}", f"${variable}")


def _is_foreign(variable: str, text: str) -> bool:
    """Tell a variable that has our prefix but is no setting.

    An empty one is how shells and containers say "not set", and Kubernetes gives
    every pod ``VIZSLA_SERVICE_HOST`` and ``VIZSLA_PORT=tcp://...`` for a Service of our name.
    """
    service = KUBERNETES_SERVICE.fullmatch(variable)
    address = text.startswith(("tcp://", "udp://"))
    return text == "" or variable in NOT_SETTINGS or service is not None or address


def _sections() -> set[str]:
    return {name.rpartition(".")[0] for name in setting_fields()} - {""}


def known_setting(name: str, place: str) -> str:
    """Return ``name`` if it is a setting.

    Raises:
        ConfigError: It is not; the message names ``place`` and the nearest setting.
    """
    known = setting_fields()
    if name in known:
        return name
    if name in _sections():
        raise ConfigError(f"{place}: {name!r} is a section, not a setting; set {name}.KEY")
    same_key = [other for other in known if other.endswith(f".{name}")]
    near = same_key or difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; see `vizsla config show`"
    raise ConfigError(f"{place}: unknown setting {name!r}{hint}")
