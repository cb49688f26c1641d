"""Log lines on stderr: JSON for machines or text for people, each with its request's id."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol, TextIO

__all__ = [
    "JsonFormatter",
    "LogSettings",
    "TextFormatter",
    "configure_logs",
    "current_request_id",
    "request_id",
]

_request_id: ContextVar[str] = ContextVar("request_id", default="")

# What every LogRecord has; all else was given as ``extra`` and belongs into the line, except
# what libraries add to all records for themselves (Ray does), under names with an underscore.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}


class LogSettings(Protocol):
    """What ``vizsla.config.TelemetrySettings`` says about logs."""

    @property
    def log_level(self) -> str:
        """Least severe level written: ``debug``, ``info``, ``warning`` or ``error``."""
        ...

    @property
    def log_format(self) -> str:
        """``json`` or ``text``."""
        ...


@contextmanager
def request_id(value: str) -> Iterator[None]:
    """Write ``value`` into every line that is logged inside the block, also across ``await``."""
    token = _request_id.set(value)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str:
    """Return the id of the request being worked on, or an empty string."""
    return _request_id.get()


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to one handler.

    Args:
        settings: Level and format.
        stream: Where to; None for stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time level logger message request_id`` and the extras.

    Example:
        >>> record = logging.makeLogRecord({"msg": "ready", "levelname": "INFO", "n_items": 3})
        >>> json.loads(JsonFormatter().format(record))["n_items"]
        3
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break inside."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current_request_id():
            line["request_id"] = current_request_id()
        line.update(_extras(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``12:00:00.000 INFO serving: ready n_items=3 request_id=abc``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; only an exception makes it longer than one."""
        extras = {**_extras(record), "request_id": current_request_id()}
        pairs = [f"{key}={value}" for key, value in extras.items() if value != ""]
        head = f"{_time(record)[11:23]} {record.levelname} {record.name}: {record.getMessage()}"
        text = " ".join([head.replace("\n", "\\n"), *pairs])
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord) -> dict[str, object]:
    given = vars(record).items()
    return {key: value for key, value in given if key not in _STANDARD and key[0] != "_"}
