"""A bundle is opened only if it is exactly what was written."""

import io
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vizsla.bundles import load, locate
from vizsla.errors import (
    ArtifactError,
    CorruptArtifactError,
    IncompatibleArtifactError,
    NotFoundError,
)
from vizsla.testing.bundle_suite import DAMAGES, PARTS, flip_byte, reseal
from vizsla.testing.bundles import tiny_bundle


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original.path, tmp_path / "bundle")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_refused_in_one_line_that_names_the_file(damage, folder):
    """Whatever was done to it, the message says to which file."""
    named = DAMAGES[damage](folder)

    with pytest.raises(ArtifactError, match=re.escape(str(folder / named))) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_flipped_byte_is_refused(original, tmp_path, data):
    """No byte of any file can change unseen, wherever it is."""
    name = data.draw(st.sampled_from([*PARTS, "manifest.json"]))
    offset = data.draw(st.integers(0, (original.path / name).stat().st_size - 1))
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original.path, folder)
    flip_byte(folder, name, offset)

    with pytest.raises(ArtifactError, match=re.escape(name)):
        load(folder)


def test_a_copy_under_another_name_opens(folder, original):
    """The name of the directory is a convenience; the hash is in the manifest."""
    assert load(folder).manifest == original.manifest


def test_an_unknown_version_says_what_can_be_done(folder):
    """The message names both versions."""
    reseal(folder, {"format_version": 7})

    with pytest.raises(IncompatibleArtifactError, match="version 7, this Vizsla reads 1"):
        load(folder)


def test_without_verify_only_manifest_names_and_sizes_are_checked(folder):
    """A changed byte passes, a changed size does not."""
    flip_byte(folder, "item_vectors.npy", -1)
    assert load(folder, verify=False).manifest.n_items == 40

    (folder / "golden.jsonl").unlink()
    with pytest.raises(CorruptArtifactError, match=r"golden.jsonl: missing"):
        load(folder, verify=False)


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.full((40, 8), np.inf, np.float32), "not finite"),
        (np.zeros((40, 8), np.float64), "float64"),
        (np.zeros((8, 40), np.float32), "the manifest says"),
        (np.zeros((320,), np.float32), "the manifest says"),
    ],
)
def test_vectors_must_be_finite_and_of_the_manifests_shape(folder, array, why):
    """A forged file with right hashes is still looked at."""
    path = folder / "item_vectors.npy"
    path.unlink()
    path.write_bytes(_npy(array))
    reseal(folder, {}, ("item_vectors.npy",))
    fields = load(folder, verify=False).manifest.files["item_vectors.npy"]
    reseal(folder, {"vectors_hash": fields.sha256})

    with pytest.raises(CorruptArtifactError, match=why):
        load(folder)


def test_vectors_with_python_objects_are_not_unpickled(folder):
    """An object array needs pickle, and is refused."""
    path = folder / "item_vectors.npy"
    path.unlink()
    path.write_bytes(_npy(np.array([[{"a": 1}]], object)))
    reseal(folder, {}, ("item_vectors.npy",))
    fields = load(folder, verify=False).manifest.files["item_vectors.npy"]
    reseal(folder, {"vectors_hash": fields.sha256})

    with pytest.raises(CorruptArtifactError, match=r"item_vectors.npy: "):
        load(folder)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"item_id": ["a", "b"]}, "no column 'item_num'"),
        ({"item_num": [0], "item_id": ["a"], "n_interactions": [1]}, "1 rows, not 2"),
        ({"item_num": [0, 1], "item_id": [1, 2], "n_interactions": [1, 1]}, "not strings"),
        ({"item_num": [0, 1], "item_id": ["a", None], "n_interactions": [1, 1]}, "null"),
        ({"item_num": [1, 0], "item_id": ["a", "b"], "n_interactions": [1, 1]}, "row number"),
        ({"item_num": [0, 1], "item_id": ["a", "a"], "n_interactions": [1, 1]}, "twice"),
    ],
)
def test_item_tables_are_checked_even_when_their_hash_is_right(tmp_path, columns, why):
    """A forged table with a right hash is still looked at."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle(tmp_path / "out", n_items=2).path, folder)
    (folder / "items.parquet").unlink()
    pq.write_table(pa.table(columns), folder / "items.parquet")
    reseal(folder, {}, ("items.parquet",))

    with pytest.raises(CorruptArtifactError, match=rf"items.parquet: .*{why}"):
        load(folder)


def test_a_run_directory_stands_for_its_latest_bundle(original, tmp_path):
    """``latest_bundle`` may hold a path relative to the run, or an absolute one."""
    shutil.copytree(original.path, tmp_path / "bundles" / "x")
    for text in ("bundles/x\n", str(original.path)):
        (tmp_path / "latest_bundle").write_text(text)
        assert load(tmp_path).manifest == original.manifest

    (tmp_path / "latest_bundle").write_text("bundles/gone")
    with pytest.raises(NotFoundError, match=r"latest_bundle: names 'bundles/gone'"):
        locate(tmp_path)


def test_what_is_no_bundle_is_not_found(tmp_path):
    """A wrong path is told from a broken bundle."""
    with pytest.raises(NotFoundError, match="no such directory"):
        load(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"no manifest.json in it"):
        load(tmp_path)
