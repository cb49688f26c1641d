"""Settings: defaults, then a TOML file, then the environment, then flags; each with its origin.

The only package that reads the environment.  An unknown name is an error with
the nearest known one, and a wrong value is reported with the file and key, the
variable or the flag that it came from.
"""

from vizsla.config.resolve import (
    Resolved,
    default_threads,
    export_environment,
    load_settings,
    resolve_settings,
    use_config_file,
)
from vizsla.config.sections import (
    LiveSettings,
    SearchSettings,
    ServingSettings,
    Settings,
    TelemetrySettings,
    setting_fields,
)
from vizsla.config.sources import ENV_PREFIX

__all__ = [
    "ENV_PREFIX",
    "LiveSettings",
    "Resolved",
    "SearchSettings",
    "ServingSettings",
    "Settings",
    "TelemetrySettings",
    "default_threads",
    "export_environment",
    "load_settings",
    "resolve_settings",
    "setting_fields",
    "use_config_file",
]
