"""How a run is set up from what the user asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.pipeline import TrainRequest, train_bundle
from vizsla.datasets import fetch
from vizsla.datasets.sources.synthetic import SyntheticOptions


@pytest.mark.parametrize(("asked", "taken"), [(0, 3), (2, 2)])
def test_training_takes_the_threads_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int, taken: int
) -> None:
    """Without a number of its own it takes the operator's, whatever the machine has."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    options = SyntheticOptions(users=40, items=50, clusters=4, interactions=500)
    seen = []

    def should_stop() -> bool:
        seen.append(torch.get_num_threads())
        return True

    request = TrainRequest(
        recipe="matcher",
        dataset_dir=fetch("synthetic", tmp_path / "home", options=options),
        out=tmp_path / "run",
        threads=asked,
        should_stop=should_stop,
    )

    assert train_bundle(request) is None
    assert set(seen) == {taken}
