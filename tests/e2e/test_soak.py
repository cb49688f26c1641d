"""The soak for two minutes: lives of a real server under load, each ended by SIGKILL."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_nothing_acknowledged_is_lost(run_dir: Path) -> None:
    """Every acknowledged change is there after every kill, and no answer holds a hidden item."""
    report = soak(run_dir, minutes=2, kill_every_s=20.0)

    assert report["wrong"] == []
    assert report["n_kills"] == 6
    assert report["n_graph_checks"] == 12  # before each kill, and after it
    assert report["n_acknowledged"] > 50
    assert report["n_searches"] > 50
    assert report["memory_verdict"] == "too short"  # a life of 20 s says nothing of leaks
    assert report["graph_ok"]
