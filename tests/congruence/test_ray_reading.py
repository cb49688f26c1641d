"""Interactions streamed by Ray Data give the very split that reading the file gives."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from vizsla.contracts.features import DatasetManifest
from vizsla.datasets import Draft, Tables, fetch, write
from vizsla.datasets.sources.synthetic import SyntheticOptions
from vizsla.testing.planted import planted

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboardX") is None,
        reason="the extra 'scale' is not installed",
    ),
]

SCRIPT = Path(__file__).with_name("ray_reading.py")
N_PARTS = 7


def in_parts(source: Path, target: Path) -> Path:
    """Copy a dataset with its interactions in a folder of files of different size."""
    target.mkdir()
    for name in ("dataset.json", "items.parquet", "users.parquet"):
        if (source / name).exists():
            (target / name).write_bytes((source / name).read_bytes())
    rows = pl.read_parquet(source / "interactions.parquet")
    (target / "interactions.parquet").mkdir()
    bounds = [0, *(rows.height * n * n // N_PARTS**2 for n in range(1, N_PARTS + 1))]
    for number in range(N_PARTS):
        part = rows[bounds[number] : bounds[number + 1]]
        part.write_parquet(target / "interactions.parquet" / f"part-{number}.parquet")
    return target


def with_ties(target: Path) -> Path:
    """Planted clusters whose events all happen at once, so that only the rows' order counts."""
    data = planted(n_users=60, n_items=80, per_user=10)
    rows = pl.DataFrame(
        {
            "user_id": [f"u{num}" for num in data.user_nums],
            "item_id": [f"i{num}" for num in data.item_nums],
            "event_timestamp": [1.7e9] * len(data.user_nums),
            "event_type": ["click"] * len(data.user_nums),
            "remark": ["never read"] * len(data.user_nums),
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)
    manifest = DatasetManifest(
        name="ties",
        source="drawn",
        licence="none",
        order="time",
        n_interactions=0,
        n_users=0,
        n_items=0,
        content_hash="",
    )
    write(target, Draft(manifest, Tables(rows, rows.select("item_id").unique(maintain_order=True))))
    return target


def test_streamed_equals_plain(tmp_path: Path, namespace: list[str]) -> None:
    """One file, many files, and ties in time; and no further column is read."""
    sizes = SyntheticOptions(users=80, items=60, clusters=4, interactions=2000)
    one = fetch("synthetic", tmp_path / "home", options=sizes)
    ties = with_ties(tmp_path / "ties")
    folders = [
        one,
        in_parts(one, tmp_path / "parts"),
        ties,
        in_parts(ties, tmp_path / "tied parts"),
    ]
    out = tmp_path / "out.json"
    done = subprocess.run(
        [*namespace, sys.executable, SCRIPT, out, *folders],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())

    assert {name: case["differing"] for name, case in found.items()} == {
        folder.name: [] for folder in folders
    }
    assert len(found) == 4
    assert all("remark" not in case["columns"] for case in found.values())
