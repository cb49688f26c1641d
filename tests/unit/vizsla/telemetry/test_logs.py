"""Log lines: JSON or text, each with its request's id."""

import asyncio
import io
import json
import logging

import pytest

from vizsla.config import TelemetrySettings
from vizsla.telemetry.logs import configure_logs, current_request_id, request_id

logger = logging.getLogger("vizsla.test")


@pytest.fixture
def lines():
    """Configure the process's logs into a string, and undo that afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def configure(**settings):
        stream = io.StringIO()
        configure_logs(TelemetrySettings(**settings), stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_hold_message_extras_and_request_id(lines):
    """One object per line, whatever is in the message."""
    stream = lines(log_format="json")
    with request_id("r-1"):
        logger.info("two\nlines %s", "ä", extra={"route": "/v1/retrieve", "ms": 1.5})
    logger.warning("outside")
    inside, outside = map(json.loads, stream.getvalue().splitlines())

    assert inside["message"] == "two\nlines ä"
    assert (inside["route"], inside["ms"], inside["request_id"]) == ("/v1/retrieve", 1.5, "r-1")
    assert (inside["level"], inside["logger"]) == ("info", "vizsla.test")
    assert inside["time"].endswith("Z")
    assert "request_id" not in outside


def test_text_lines_are_for_people(lines):
    """Time, level, logger, message, then the pairs."""
    stream = lines(log_format="text")
    with request_id("r-1"):
        logger.info("ready", extra={"n_items": 3})
    text = stream.getvalue()

    assert text.endswith(" INFO vizsla.test: ready n_items=3 request_id=r-1\n")


def test_a_message_cannot_forge_a_line(lines):
    """A line break in what a client sent stays inside the line."""
    stream = lines(log_format="text")
    logger.info("user said %s", "x\n00:00:00.000 ERROR vizsla: forged")

    assert stream.getvalue().count("\n") == 1


def test_the_level_is_obeyed_and_configuring_again_replaces(lines):
    """No line twice, none below the level."""
    lines(log_level="debug")
    stream = lines(log_level="error")
    logger.warning("quiet")
    logger.error("loud")

    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_exceptions_come_with_their_traceback(lines, log_format):
    """In the same record as the message."""
    stream = lines(log_format=log_format)
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed")

    assert "ValueError: broken" in stream.getvalue()


def test_concurrent_requests_keep_their_ids_apart():
    """The id follows the request across ``await``."""

    async def work(name):
        with request_id(name):
            await asyncio.sleep(0)
            return current_request_id()

    async def both():
        return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(both()) == ["a", "b"]
    assert current_request_id() == ""
