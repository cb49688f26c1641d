"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real datasets; tests that need it are skipped, and counted, without it."""
    value = os.environ.get("VIZSLA_DATA_DIR")
    if not value or not Path(value).is_dir():
        pytest.skip("VIZSLA_DATA_DIR is not set: real-data test skipped")
    return Path(value)
