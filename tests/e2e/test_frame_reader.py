"""A frame encoded by Ray Data, from the installed wheel: the ranker of the plain reader."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vizsla.datasets.frames.fetching import fetch_frame
from vizsla.datasets.frames.synthetic import SyntheticCtrOptions

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.ray,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboardX") is None,
        reason="the extra 'scale' is not installed",
    ),
]

SETTINGS = ("epochs=1", "dim=4", "model_settings.hidden=[8]", "model=dnn")


@pytest.mark.parametrize("buffer_rows", [1 << 20, 30_000])
def test_both_readers_train_the_same_ranker(
    vizsla: Path, namespace: list[str], tmp_path: Path, buffer_rows: int
) -> None:
    """In memory and through files: the same codes in the same order, so the same bits."""
    options = SyntheticCtrOptions(rows=120_000)
    frame = fetch_frame("synthetic-ctr", tmp_path / "home", options=options)
    found = {}
    for reader in ("plain", "ray"):
        out = tmp_path / reader
        arguments = ["train", "--recipe", "ranker", "--data", frame, "--out", out, "--json"]
        for setting in (*SETTINGS, f"buffer_rows={buffer_rows}"):
            arguments += ["--set", setting]
        found[reader] = _said([*namespace, vizsla, *arguments, "--reader", reader])

    assert found["ray"]["content_hash"] == found["plain"]["content_hash"]
    losses = [[epoch["loss"] for epoch in one["history"]] for one in found.values()]
    assert losses[0] == losses[1]
    assert not (tmp_path / "ray" / "encoded").exists()


def _said(command: list[Any]) -> dict[str, Any]:
    done = subprocess.run(
        [*map(str, command)], check=False, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
