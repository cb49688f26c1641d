"""Two bundles are compared field by field, file by file and item by item."""

from dataclasses import replace

from vizsla.bundles import Change, diff, write
from vizsla.clock import FakeClock
from vizsla.testing.bundles import tiny_bundle, tiny_parts


def test_a_bundle_does_not_differ_from_itself(tmp_path):
    """The time of writing does not count."""
    left = write(tmp_path / "a", tiny_parts(), FakeClock(1.0))
    right = write(tmp_path / "b", tiny_parts(), FakeClock(2.0))

    assert diff(left, right).same


def test_fields_are_named_with_dots(tmp_path):
    """A changed metric is found inside its section, and one that is new has None on the left."""
    parts = tiny_parts()
    left = write(tmp_path, parts, FakeClock())
    right = write(tmp_path, replace(parts, metrics={"recall_at_20": 0.75, "mrr": 1}), FakeClock())

    found = diff(left, right)
    assert found.fields == [
        Change("metrics.mrr", None, 1.0),
        Change("metrics.recall_at_20", 0.5, 0.75),
    ]
    assert not found.files
    assert not found.same


def test_items_and_files_that_differ_are_listed(tmp_path):
    """Items by id, files by size."""
    found = diff(tiny_bundle(tmp_path, n_items=3), tiny_bundle(tmp_path, n_items=4))

    assert (found.items_added, found.items_removed) == (["item-3"], [])
    changed = {change.name for change in found.files}
    assert {"item_vectors.npy", "items.parquet"} <= changed
    assert "weights.safetensors" not in changed
