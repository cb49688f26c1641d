"""Graphs on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graph_index import storage
from graph_index.build import BuildSettings, build_graph
from graph_index.check import graph_report
from vizsla.contracts.index import IndexManifest
from vizsla.errors import (
    ContractError,
    CorruptArtifactError,
    IncompatibleArtifactError,
    UsageError,
)
from vizsla.testing.search_scorers import clustered_vectors

VECTORS = clustered_vectors(60)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=8), alive=np.arange(60) != 7)
MANIFEST = IndexManifest(
    backend="graph",
    n_items=60,
    max_degree=8,
    ef_construction=100,
    n_entry_points=len(GRAPH.entry_points),
    vocab_hash="a" * 64,
    vectors_hash="b" * 64,
    seed=0,
    report=graph_report(GRAPH, VECTORS),
    search={"beam_width": 10},
)


@pytest.fixture
def folder(tmp_path):
    storage.save(tmp_path / "graph", GRAPH, MANIFEST)
    return tmp_path / "graph"


def replace(folder, name, array):
    np.save(folder / f"{name}.npy", array)


@pytest.mark.parametrize("in_memory", [False, True])
def test_load_gives_what_was_saved(folder, in_memory):
    """Arrays and manifest come back equal, mapped or copied."""
    graph, manifest = storage.load(folder, in_memory=in_memory)

    assert manifest == MANIFEST
    assert np.array_equal(graph.neighbors, GRAPH.neighbors)
    assert np.array_equal(graph.entry_points, GRAPH.entry_points)
    assert np.array_equal(graph.alive, GRAPH.alive)
    assert graph.neighbors.flags.writeable == in_memory
    assert sorted(path.name for path in folder.iterdir()) == sorted(storage.FILES)


def test_an_existing_directory_is_left_alone(folder):
    """A graph never overwrites another."""
    with pytest.raises(UsageError, match="exists"):
        storage.save(folder, GRAPH, MANIFEST)


def test_a_manifest_of_another_graph_is_not_saved(tmp_path):
    """Facts that contradict the arrays are refused before anything is written."""
    with pytest.raises(ContractError, match="max_degree is 8, the manifest says 9"):
        storage.save(tmp_path / "x", GRAPH, MANIFEST.model_copy(update={"max_degree": 9}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", storage.FILES)
def test_a_missing_file_is_named(folder, name):
    """The message names the file and the way out."""
    (folder / name).unlink()

    with pytest.raises(CorruptArtifactError, match=rf"{name} is missing; build the index again"):
        storage.load(folder)


@pytest.mark.parametrize("name", storage.FILES)
@pytest.mark.parametrize("n_bytes", [0, 1, 50])
def test_a_truncated_file_is_named(folder, name, n_bytes):
    """A file cut short is refused with its name, not with a traceback."""
    path = folder / name
    path.write_bytes(path.read_bytes()[:n_bytes])

    with pytest.raises(CorruptArtifactError, match=name):
        storage.load(folder)


def test_pickled_arrays_are_not_read(folder):
    """An array of Python objects is never unpickled."""
    np.save(folder / "alive.npy", np.array([{}], object), allow_pickle=True)

    with pytest.raises(CorruptArtifactError, match=r"alive\.npy cannot be read"):
        storage.load(folder)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("neighbors", np.full((60, 8), 60, np.int32), "not within 0 to 59"),
        ("neighbors", np.full((60, 8), -1, np.int32), "not within 0 to 59"),
        ("neighbors", np.zeros((60, 8), np.int64), "int32"),
        ("neighbors", np.zeros((60, 7), np.int32), "max_degree is 7"),
        ("neighbors", np.zeros((60, 8), np.int32), "cannot be reached"),
        ("neighbors", np.zeros((59, 8), np.int32), "do not fit"),
        ("entry_points", np.array([99], np.int32), "n_entry_points is 1"),
        ("entry_points", np.full_like(GRAPH.entry_points, 60), "entry_points: item numbers"),
        ("entry_points", np.full_like(GRAPH.entry_points, 3), "occurs twice"),
        ("alive", np.ones(61, bool), "do not fit"),
        ("alive", np.zeros(60, bool), "no item is alive"),
    ],
)
def test_wrong_content_is_refused(folder, name, array, said):
    """Shapes, dtypes, ranges and reachability are verified on loading."""
    replace(folder, name, array)

    with pytest.raises(CorruptArtifactError, match=said):
        storage.load(folder)


def test_other_items_or_vectors_are_refused(folder):
    """An index opens only with the hashes it was built for."""
    storage.load(folder, vocab_hash="a" * 64, vectors_hash="b" * 64)

    with pytest.raises(IncompatibleArtifactError, match="other items"):
        storage.load(folder, vocab_hash="c" * 64)
    with pytest.raises(IncompatibleArtifactError, match="other item vectors"):
        storage.load(folder, vectors_hash="c" * 64)


def edit(folder, **changes):
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_unknown_format_is_refused(folder):
    """A later format version is not guessed at."""
    edit(folder, format_version=2)

    with pytest.raises(IncompatibleArtifactError, match="format version 2 is unknown"):
        storage.load(folder)


def test_a_wrong_manifest_field_is_named(folder):
    """The field is in the message, be it wrong or unknown."""
    edit(folder, n_items="many")
    with pytest.raises(CorruptArtifactError, match="n_items"):
        storage.load(folder)
    edit(folder, n_items=60, colour="red")
    with pytest.raises(CorruptArtifactError, match="colour"):
        storage.load(folder)
