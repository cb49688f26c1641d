"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real datasets; without it a test is skipped and counted, or fails in CI."""
    value = os.environ.get("VIZSLA_DATA_DIR")
    if value and Path(value).is_dir():
        return Path(value)
    if os.environ.get("REQUIRE_REAL_DATA"):
        pytest.fail("REQUIRE_REAL_DATA is set, but VIZSLA_DATA_DIR names no folder")
    pytest.skip("VIZSLA_DATA_DIR is not set: real-data test skipped")
