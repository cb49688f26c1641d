"""Ports, addresses, and Ray's switches."""

from __future__ import annotations

import asyncio
import socket

import pytest

from serving.hosts.cluster import ray_environment
from serving.hosts.common import bind
from vizsla.config import ServingSettings
from vizsla.errors import ConfigError


def test_port_zero_takes_a_free_one() -> None:
    """Two servers that ask for any port get different ones."""
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        assert 0 != first.getsockname()[1] != second.getsockname()[1] != 0


def test_answers_are_sent_at_once() -> None:
    """Connections do not collect small writes: the body of an answer follows its headers."""

    async def option_of_a_connection() -> int:
        found: asyncio.Queue[int] = asyncio.Queue()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bind("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(accept, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                option = await found.get()
                writer.close()
                await writer.wait_closed()
        return option

    assert asyncio.run(option_of_a_connection()) != 0


def test_taken_port_is_one_line() -> None:
    """A port in use is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use"):
            bind("127.0.0.1", port)


def test_wrong_host_is_one_line() -> None:
    """An address that is not this machine's is named."""
    with pytest.raises(ConfigError, match=r"cannot listen on no\.such\.host\.invalid:1"):
        bind("no.such.host.invalid", 1)


@pytest.mark.parametrize(("ingress", "flag"), [("python", "0"), ("haproxy", "1")])
def test_ray_s_switches_follow_the_settings(ingress: str, flag: str) -> None:
    """Nobody sets Ray's variables by hand."""
    variables = ray_environment(ServingSettings(ingress=ingress))  # type: ignore[arg-type]

    assert variables["RAY_SERVE_ENABLE_HA_PROXY"] == flag
    assert variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == flag
    assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
