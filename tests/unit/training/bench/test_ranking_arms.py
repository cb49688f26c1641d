"""One arm of a ranking study, from a frame on disk to its row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from training.bench.ranking.arms import ArmJob
from training.ctr.settings import RankerSettings
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import FrameDraft, write_frame

RANKER = RankerSettings(model="dnn", epochs=1, batch_size=64, model_settings={"hidden": [4]})


@pytest.fixture
def home(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 20, 300)
    table = pl.DataFrame({"label": (values < 10).astype(np.float32), "code": values.astype(str)})
    manifest = TrainingFrame(
        name="toy",
        source="made here",
        licence="none",
        label_rule="one of the lower half",
        fields=[FieldSpec(name="code")],
        splits={},
        content_hash="",
    )
    splits = [("train", table[:200]), ("valid", table[200:250]), ("test", table[250:])]
    write_frame(tmp_path / "data" / "toy", FrameDraft(manifest, splits))
    return tmp_path


def rows(home, arm, budget_ratio):
    return ArmJob(home, home / "work", "toy", arm, 0, budget_ratio, ranker=RANKER)()


def test_an_arm_is_one_row(home):
    """Half of 30 columns."""
    (row,) = rows(home, "uniform", 0.5)

    assert (row["arm"], row["parameter_ratio"], row["widths"]) == ("uniform", 0.5, {"code": 15})


def test_a_budget_that_fits_nothing_is_a_row_with_the_reason(home):
    """22 codes of one column are more than a hundredth of 22 x 30."""
    (row,) = rows(home, "uniform", 0.01)

    assert row.pop("failed") == "uniform: nothing fits a budget of 6 table entries"
    assert row == {"frame": "toy", "arm": "uniform", "seed": 0}
