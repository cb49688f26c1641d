"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine is slow now and then, and no test is about time
settings.register_profile("vizsla", deadline=None)
settings.load_profile("vizsla")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real datasets; without it a test is skipped and counted, or fails in CI."""
    value = os.environ.get("VIZSLA_DATA_DIR")
    if value and Path(value).is_dir():
        return Path(value)
    if os.environ.get("REQUIRE_REAL_DATA"):
        pytest.fail("REQUIRE_REAL_DATA is set, but VIZSLA_DATA_DIR names no folder")
    pytest.skip("VIZSLA_DATA_DIR is not set: real-data test skipped")


@pytest.fixture(scope="session")
def namespace() -> list[str]:
    """The prefix that runs a command in a network namespace, or nothing where that is not allowed.

    Ray listens on every interface here and there; in a namespace only loopback exists, and
    nothing that it starts can outlive it.
    """
    prefix = ["unshare", "-n", "-p", "-f", "--mount-proc", "--kill-child", "bash", "-c"]
    prefix += ['ip link set lo up; exec "$@"', "_"]
    if os.geteuid() != 0:
        return []
    works = subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode == 0
    return prefix if works else []
