"""``vizsla bench filters`` on planted clusters."""

import numpy as np
import pytest

from training.bench.filters import KINDS, METHODS, SELECTIVITIES, filter_rows, filter_targets
from vizsla.cli import main
from vizsla.contracts.index import Query


def test_rows_of_every_filter_and_method(world):
    """A small catalogue is searched exactly by ``auto``; narrower filters allow fewer items."""
    queries = [Query(np.array([0, 1])), Query(np.array([7]))]
    rows = filter_rows("planted", world.bundle, queries, seed=0)
    auto = [row for row in rows if row["method"] == "auto"]

    assert len(rows) == len(KINDS) * len(SELECTIVITIES) * len(METHODS)
    assert {row["coverage_at_200"] for row in auto} == {1.0}
    for kind in KINDS:
        allowed = [row["n_allowed"] for row in auto if row["filter"] == kind]
        assert allowed == sorted(allowed, reverse=True)


def test_targets_are_the_worst_of_auto():
    """One target per kind of filter, by its lowest coverage under ``auto``."""
    rows = [
        {"dataset": "d", "filter": "far", "method": method, "coverage_at_200": coverage}
        for method, coverage in (("auto", 0.99), ("auto", 0.97), ("walk", 0.5))
    ]
    targets = {target.name: target for target in filter_targets(rows)}
    far = targets["d: least coverage_at_200, filter far"]

    assert (far.value, far.met) == (0.97, False)
    assert targets["d: least coverage_at_200, filter near"].value is None


def test_a_bundle_without_users_is_refused(world, tmp_path, capsys):
    """Queries are users of the run, so its folder is needed."""
    out = tmp_path / "out.json"
    bundle = f"d={world.bundle.path}"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "filters", "--bundle", bundle, "--preset", "quick", "--json", str(out)])

    assert ended.value.code == 2
    assert "no users.parquet" in capsys.readouterr().err
    assert not out.exists()
