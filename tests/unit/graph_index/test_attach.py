"""Bundles with an index, through the library and through the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from graph_index.attach import build_index, has_index, load_graph, open_retriever, search_settings
from graph_index.backends.exhaustive import ExhaustiveRetriever
from graph_index.backends.torch_device import TorchDeviceRetriever
from graph_index.build import BuildSettings
from graph_index.cli import app
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.bundles import derive, load
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.errors import CorruptArtifactError, IncompatibleArtifactError, NotFoundError
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.device_scorers import HostScorer
from vizsla.testing.retrievers import same_results
from vizsla.testing.scorers import DotScorer

SMALL = BuildSettings(max_degree=8)


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "bundles", n_items=60)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_build_makes_a_new_bundle(bundle, tmp_path):
    """The old bundle stays; the new one has the graph, the old as parent, and all else."""
    built = build_index(bundle, tmp_path / "out", SMALL, clock=FakeClock(1_700_000_000.0))

    assert built.path.parent == tmp_path / "out"
    assert bundle.graph_dir is None
    assert built.manifest.parent == bundle.manifest.content_hash
    assert built.manifest.index is not None
    assert built.manifest.index.report["reachable_ratio"] == 1.0
    assert built.manifest.index.vectors_hash == bundle.manifest.vectors_hash
    assert load(built.path).vocabulary.ids() == bundle.vocabulary.ids()


def test_equal_builds_are_the_same_bundle(bundle, tmp_path):
    """With one seed the content hash is the same whenever it is built, with another seed not."""
    one, two, other = (
        build_index(bundle, tmp_path / name, SMALL, seed)
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )

    assert one.manifest.content_hash == two.manifest.content_hash != other.manifest.content_hash


def test_open_gives_a_walk_or_everything(bundle, tmp_path):
    """Without a graph the retriever is exhaustive; with one it walks, to the same best items."""
    built = build_index(bundle, tmp_path, SMALL)
    plain, walking = open_retriever(bundle), open_retriever(built)
    assert isinstance(plain, ExhaustiveRetriever)
    assert isinstance(walking, GraphRetriever)
    scorer = DotScorer(np.asarray(bundle.item_vectors()))
    queries = [Query(np.array([num])) for num in range(5)]
    walk = SearchOptions(k=5, mode=Mode.WALK, beam_width=60, max_rounds=60)
    found = walking.search(scorer, queries, walk)

    truth = plain.search(scorer, queries, SearchOptions(k=5))
    assert all(same_results(one, two) for one, two in zip(found, truth, strict=True))


def test_a_device_changes_where_not_what(bundle, tmp_path):
    """On a torch device the same bundle gives the same answers, after live changes too."""
    built = build_index(bundle, tmp_path, SMALL)
    there = open_retriever(built, device="cpu")
    vectors = np.asarray(bundle.item_vectors())
    scorer, queries = DotScorer(vectors), [Query(np.array([num])) for num in range(5)]
    walk = SearchOptions(k=5, mode=Mode.WALK, beam_width=9)
    expected = open_retriever(built).search(scorer, queries, walk)

    for retriever in (there, there.over(there.graph, there.item_vectors)):
        assert isinstance(retriever, TorchDeviceRetriever)
        found = retriever.search(HostScorer(scorer, vectors), queries, walk)
        assert all(same_results(one, two) for one, two in zip(found, expected, strict=True))


def test_search_settings_travel_with_the_index(bundle, tmp_path):
    """What was chosen at the build is the default of a search; a caller may override it."""
    search = SearchSettings(beam_width=77)
    built = build_index(bundle, tmp_path, SMALL, search=search)

    assert open_retriever(built).settings == search
    assert search_settings(built.manifest.index) == search
    assert open_retriever(built, SearchSettings(beam_width=5)).settings.beam_width == 5
    older = built.manifest.index.model_copy(update={"search": {"beam_width": 9, "gone": 1}})
    assert search_settings(older) == SearchSettings(beam_width=9)


def test_has_index_knows_its_settings(bundle, tmp_path):
    """The same settings and seed are recognised, others are not."""
    built = build_index(bundle, tmp_path, SMALL, 1)

    assert not has_index(bundle, SMALL, 1)
    assert has_index(built, SMALL, 1)
    assert not has_index(built, SMALL, 2)
    assert not has_index(built, BuildSettings(max_degree=10), 1)
    assert not has_index(built, BuildSettings(max_degree=8, n_entry_points=3), 1)
    exact = SMALL.model_copy(update={"device": "cpu"})
    assert not has_index(built, exact, 1)
    assert has_index(build_index(bundle, tmp_path / "exact", exact, 1), exact, 1)


def test_an_index_of_another_bundle_is_refused(bundle, tmp_path):
    """A graph that was moved between bundles does not open."""
    other = tiny_bundle(tmp_path / "other", n_items=60, seed=1)
    built = build_index(bundle, tmp_path, SMALL)
    files = {f"graph/{path.name}": path for path in built.graph_dir.iterdir()}

    with pytest.raises(IncompatibleArtifactError, match="vectors"):
        open_retriever(
            derive(other, tmp_path, files=files, index=built.manifest.index, clock=FakeClock())
        )


def test_no_index_is_said(bundle):
    """The message tells how to get one."""
    with pytest.raises(CorruptArtifactError, match="vizsla index build"):
        load_graph(bundle)


def test_command_builds_and_prints(bundle, tmp_path):
    """The table has degree, reachability, time and the new bundle's path."""
    done = run("build", bundle.path, "--out", tmp_path / "new", "--max-degree", 8)

    assert done.exit_code == 0, done.output
    new = next((tmp_path / "new").iterdir())
    for word in ("max_degree", "reachable_ratio", "build_s", str(new)):
        assert word in done.stdout


def test_command_prints_json(bundle):
    """With ``--json`` the result is one JSON object; the default place is beside the old."""
    done = run("build", bundle.path, "--json")
    answer = json.loads(done.stdout)

    assert answer["reachable_ratio"] == 1.0
    assert answer["n_items"] == 60
    assert load(bundle.path.parent / answer["bundle"].rsplit("/", 1)[1]).manifest.index


def test_command_moves_the_pointer_of_a_training_directory(bundle, tmp_path):
    """After a build the directory's latest bundle is the one with the graph."""
    pointer = tmp_path / "latest_bundle"
    pointer.write_text(f"bundles/{bundle.path.name}\n")
    run("build", tmp_path)

    built = load(tmp_path)
    assert built.manifest.parent == bundle.manifest.content_hash
    assert pointer.read_text().startswith("bundles/")


def test_command_does_not_build_twice(bundle, tmp_path):
    """A bundle that has the graph already is named, and built again only with ``--force``."""
    (tmp_path / "latest_bundle").write_text(f"bundles/{bundle.path.name}\n")
    run("build", tmp_path)
    before = load(tmp_path).path
    again = run("build", tmp_path)

    assert "already has this graph" in again.output
    assert load(tmp_path).path == before
    forced = run("build", tmp_path, "--force", "--json")
    assert load(Path(json.loads(forced.stdout)["bundle"])).manifest.parent == before.name


def test_check_says_ok_or_fails(bundle, tmp_path):
    """A sound graph exits with 0; none, or a damaged one, with an error that says why."""
    built = build_index(bundle, tmp_path, SMALL)

    assert run("check", built.path).exit_code == 0
    assert json.loads(run("check", built.path, "--json").stdout)["ok"] is True
    assert isinstance(run("check", bundle.path).exception, CorruptArtifactError)
    assert isinstance(run("check", tmp_path / "none").exception, NotFoundError)
    path = built.path / "graph" / "neighbors.npy"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    failed = run("check", built.path)
    assert isinstance(failed.exception, CorruptArtifactError)
    assert "neighbors.npy" in str(failed.exception)
