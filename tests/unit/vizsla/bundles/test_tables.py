"""Item tables in a bundle: mapped as written, stored in fewer bytes, refused when not its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graph_index.attach import build_index, has_index, load_graph
from graph_index.settings import BuildSettings
from vizsla.bundles import derive, load, read_tables, write
from vizsla.clock import FakeClock
from vizsla.errors import ArtifactError, IncompatibleArtifactError, UsageError
from vizsla.rng import numpy_generator
from vizsla.testing.bundle_suite import reseal
from vizsla.testing.bundles import tiny_parts


@pytest.fixture
def bundle(tmp_path):
    rng = numpy_generator(0, "tables")
    further = [
        rng.standard_normal((40, 4), np.float32),
        rng.standard_normal((40, 2, 3), np.float32),
    ]
    return write(tmp_path, replace(tiny_parts(), tables=further), FakeClock())


def narrowed(bundle, dtype):
    settings = BuildSettings(max_degree=4, table_dtype=dtype)
    return build_index(bundle, bundle.path.parent, settings, clock=FakeClock())


def test_tables_are_read_as_written(bundle):
    """The item vectors come first, and nothing can be written into what is mapped."""
    tables = read_tables(load(bundle.path))

    np.testing.assert_array_equal(tables.arrays[0], bundle.item_vectors())
    assert [table.shape for table in tables.arrays] == [(40, 8), (40, 4), (40, 2, 3)]
    assert not any(table.flags.writeable for table in tables.arrays)


@pytest.mark.parametrize(
    ("dtype", "n_bytes", "error"), [("bfloat16", 2, 2**-8), ("int8", 1, 1 / 127)]
)
def test_index_build_stores_them_in_fewer_bytes(bundle, dtype, n_bytes, error):
    """Every value is within the rounding of its type, relative to the largest of its row."""
    tables, exact = read_tables(narrowed(bundle, dtype)), read_tables(bundle)

    assert [table.itemsize for table in tables.arrays] == [n_bytes] * 3
    for number, table in enumerate(exact.arrays):
        largest = np.abs(table).reshape(40, -1).max(axis=1).reshape(-1, *[1] * (table.ndim - 1))
        gap = np.abs(tables.rows(number, slice(None)) - table)
        assert (gap <= error * largest).all()


def test_index_build_of_another_type_is_not_the_one_asked_for(bundle):
    built = narrowed(bundle, "int8")

    assert has_index(built, BuildSettings(max_degree=4, table_dtype="int8"), 0)
    assert not has_index(built, BuildSettings(max_degree=4, table_dtype="bfloat16"), 0)
    with pytest.raises(UsageError, match="has them in int8: build from the bundle it came from"):
        narrowed(built, "bfloat16")


def test_other_tables_take_the_graph_that_is_there(bundle, monkeypatch):
    """A long build is not repeated to store the same tables in fewer bytes."""
    built = build_index(bundle, bundle.path.parent, BuildSettings(max_degree=4))
    monkeypatch.setattr("graph_index.attach.build_graph", lambda *_a, **_k: pytest.fail("built"))

    stored = narrowed(built, "bfloat16")

    assert stored.manifest.tables.dtype == "bfloat16"
    np.testing.assert_array_equal(load_graph(stored)[0].neighbors, load_graph(built)[0].neighbors)


def test_a_bundle_without_tables_cannot_store_them_otherwise(tmp_path):
    plain = write(tmp_path, tiny_parts(), FakeClock())

    assert read_tables(plain) is None
    with pytest.raises(UsageError, match="no item tables: export it again"):
        narrowed(plain, "bfloat16")


@pytest.mark.parametrize("field", ["weights_hash", "vectors_hash"])
def test_tables_of_other_weights_are_refused(bundle, field):
    tables = bundle.manifest.tables.model_dump() | {field: "0" * 64}
    reseal(bundle.path, {"tables": tables})

    with pytest.raises(IncompatibleArtifactError, match=f"tables: .*{field} differs"):
        load(bundle.path)


@pytest.mark.parametrize("changes", [{"n_tables": 2}, {"n_tables": 4}, {"dtype": "bfloat16"}])
def test_tables_that_are_not_what_the_manifest_says_are_refused(bundle, changes):
    reseal(bundle.path, {"tables": bundle.manifest.tables.model_dump() | changes})

    with pytest.raises(ArtifactError, match=r"tables/\d"):
        load(bundle.path)


def test_new_vectors_leave_the_old_tables_behind(bundle, tmp_path):
    """What was computed from other vectors does not belong to the new bundle."""
    other = tmp_path / "other.npy"
    np.save(other, bundle.item_vectors() + np.float32(1))
    derived = derive(
        bundle, tmp_path, files={"item_vectors.npy": other}, index=None, clock=FakeClock()
    )

    assert derived.manifest.tables is None
    assert not [name for name in derived.manifest.files if name.startswith("tables/")]
