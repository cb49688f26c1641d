"""Our own errors on their way from a worker to the command."""

from __future__ import annotations

import vizsla.errors
from vizsla.errors import TrainingError, VizslaError

__all__ = ["error_from", "error_record"]


def error_record(error: VizslaError) -> dict[str, str]:
    """Return the class and the line of an error, as JSON can hold them."""
    return {"kind": type(error).__name__, "message": str(error)}


def error_from(record: dict[str, str]) -> VizslaError:
    """Make the error again.

    Example:
        >>> error_from(error_record(vizsla.errors.ConfigError("unknown metric")))
        ConfigError('unknown metric')
    """
    kind = getattr(vizsla.errors, record["kind"], TrainingError)
    found: VizslaError = kind(record["message"])
    return found
