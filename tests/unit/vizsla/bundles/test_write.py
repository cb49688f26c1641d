"""Bundles are written whole, under the hash of what is in them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

from vizsla.bundles import derive, load, write
from vizsla.clock import FakeClock
from vizsla.contracts.bundle import GoldenRequest, ModelRef
from vizsla.contracts.index import IndexManifest
from vizsla.errors import ContractError, IncompatibleArtifactError
from vizsla.testing.bundles import tiny_bundle, tiny_parts


def index_of(bundle, **changes):
    fields = {
        "backend": "hnsw",
        "n_items": bundle.manifest.n_items,
        "max_degree": 4,
        "ef_construction": 8,
        "n_entry_points": 2,
        "vocab_hash": bundle.manifest.vocab_hash,
        "vectors_hash": bundle.manifest.vectors_hash,
        "seed": 0,
        "report": {},
        "search": {},
    }
    return IndexManifest(**{**fields, **changes})


@pytest.fixture
def graph_file(tmp_path):
    path = tmp_path / "neighbors.npy"
    np.save(path, np.zeros((40, 4), np.int32))
    return path


def test_the_same_parts_give_the_same_bundle_at_any_time(tmp_path):
    """The hash is over what is in the bundle, not over when it was written."""
    first = write(tmp_path / "a", tiny_parts(), FakeClock(1.0))
    second = write(tmp_path / "b", tiny_parts(), FakeClock(2e9))

    assert first.path.name == second.path.name == first.manifest.content_hash
    assert first.manifest.created_at != second.manifest.created_at


def test_writing_it_again_leaves_the_first_one(tmp_path):
    """Content-addressed: whoever was first wrote the same bytes."""
    first = write(tmp_path, tiny_parts(), FakeClock(1.0))
    again = write(tmp_path, tiny_parts(), FakeClock(9.0))

    assert again.manifest.created_at == first.manifest.created_at
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"recipe": "other"},
        {"publishable": False},
        {"metrics": {"recall_at_20": 0.51}},
        {"model": ModelRef(name="dot", config={"embedding_size": 8, "more": None})},
        {"weights": {"temperature": np.full((), 2, np.float32)}},
        {"user_features": {"age": ["young", "old"]}},
        {"golden": []},
    ],
)
def test_every_part_is_in_the_hash(tmp_path, changes):
    """Another value anywhere is another bundle."""
    parts = tiny_parts()
    one = write(tmp_path, parts, FakeClock())
    other = write(tmp_path, replace(parts, **changes), FakeClock())

    assert one.path != other.path


names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1)
finite = {"allow_nan": False, "allow_infinity": False}
tensors = npst.arrays(
    st.sampled_from([np.float32, np.float16, np.int64, np.uint8, np.bool_]),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_load_returns_what_was_saved(tmp_path_factory, data):
    """``load(save(x)) == x`` for every part, bit by bit."""
    ids = data.draw(st.lists(names, min_size=1, max_size=6, unique=True))
    vectors = data.draw(
        npst.arrays(np.float32, (len(ids), 3), elements=st.floats(width=32, **finite))
    )
    weights = data.draw(st.dictionaries(names.filter(lambda n: n != "__metadata__"), tensors))
    scores = data.draw(st.lists(st.floats(**finite), max_size=len(ids)))
    parts = replace(
        tiny_parts(),
        items=pa.table(
            {
                "item_num": np.arange(len(ids)),
                "item_id": ids,
                "n_interactions": np.arange(len(ids)),
                "tags": [["a", id_] for id_ in ids],
            }
        ),
        item_vectors=vectors,
        weights=weights,
        golden=[GoldenRequest(history=ids, item_ids=ids[: len(scores)], scores=scores)],
        user_features={"age": ids},
        metrics={"mrr": data.draw(st.floats(**finite))},
        recipe_settings={"depth": {"a": [1, None, "x"]}},
    )
    written = write(tmp_path_factory.mktemp("out"), parts, FakeClock(5.0))

    bundle = load(written.path)

    assert bundle.manifest == written.manifest
    assert bundle.items.equals(parts.items)
    assert bundle.vocabulary.ids() == ids
    assert bundle.item_vectors().tobytes() == vectors.tobytes()
    assert bundle.golden() == parts.golden
    assert bundle.manifest.metrics == parts.metrics
    assert bundle.manifest.recipe_settings == parts.recipe_settings
    assert set(bundle.weights()) == set(weights)
    for name, array in bundle.weights().items():
        assert (array.dtype, array.shape) == (weights[name].dtype, weights[name].shape)
        assert array.tobytes() == np.asarray(weights[name], order="C").tobytes()


def test_weights_need_not_be_contiguous(tmp_path):
    """A transposed tensor comes back as it looked, not as it lay in memory."""
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3).T
    bundle = write(tmp_path, replace(tiny_parts(), weights={"w": matrix}), FakeClock())

    assert np.array_equal(bundle.weights()["w"], matrix)


class _Exploding(Mapping):
    """Weights whose reading fails, as a full disk or a killed process would."""

    def __getitem__(self, name):
        raise OSError("no space left on device")

    def __iter__(self):
        return iter(["w"])

    def __len__(self):
        return 1


def test_a_crash_while_writing_leaves_nothing(tmp_path):
    """There is no half bundle under any name."""
    with pytest.raises(OSError, match="no space"):
        write(tmp_path, replace(tiny_parts(), weights=_Exploding()), FakeClock())

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"item_vectors": np.zeros((40, 8))}, "float32"),
        ({"item_vectors": np.full((40, 8), np.nan, np.float32)}, "finite"),
        ({"item_vectors": np.zeros((39, 8), np.float32)}, "40 rows, not 39"),
        ({"items": pa.table({"item_num": [0]})}, "no column 'item_id'"),
        ({"metrics": {"mrr": float("nan")}}, "not finite"),
        ({"recipe_settings": {"reg": float("inf")}}, "plain JSON"),
        ({"golden": [GoldenRequest(history=[], item_ids=["item-0"], scores=[])]}, "one finite"),
        ({"recipe_settings": {"out": Path("x")}}, "plain JSON"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, changes, why):
    """Nothing is written that would not load."""
    with pytest.raises(ContractError, match=why):
        write(tmp_path, replace(tiny_parts(), **changes), FakeClock())
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []


def test_files_of_a_bundle_cannot_be_written_to(tmp_path):
    """A bundle is immutable, and its mapped vectors are read-only."""
    bundle = tiny_bundle(tmp_path)

    assert {path.stat().st_mode & 0o222 for path in bundle.path.iterdir()} == {0}
    assert not bundle.item_vectors().flags.writeable


def test_derive_adds_a_graph_and_shares_the_rest(tmp_path, graph_file):
    """The new bundle names its parent and holds links to the parent's bytes."""
    bundle = tiny_bundle(tmp_path / "out")
    files = {"graph/neighbors.npy": graph_file}
    new = derive(bundle, tmp_path / "out", files=files, index=index_of(bundle), clock=FakeClock())

    assert bundle.graph_dir is None
    assert new.graph_dir == new.path / "graph"
    assert new.manifest.parent == bundle.manifest.content_hash
    assert new.path != bundle.path
    assert (new.path / "items.parquet").samefile(bundle.path / "items.parquet")
    assert (new.path / "graph/neighbors.npy").read_bytes() == graph_file.read_bytes()
    assert load(bundle.path).manifest == bundle.manifest


def test_derive_keeps_the_graph_only_with_its_index(tmp_path, graph_file):
    """Another index, or none, does not take over the old graph's files."""
    bundle = tiny_bundle(tmp_path / "out")
    options = {"parent": tmp_path / "out", "clock": FakeClock()}
    with_graph = derive(
        bundle, files={"graph/old.npy": graph_file}, index=index_of(bundle), **options
    )
    golden = tmp_path / "golden.jsonl"
    golden.write_text("")
    kept = derive(
        with_graph, files={"golden.jsonl": golden}, index=with_graph.manifest.index, **options
    )
    rebuilt = derive(
        with_graph,
        files={"graph/new.npy": graph_file},
        index=index_of(bundle, max_degree=8),
        **options,
    )
    dropped = derive(with_graph, files={}, index=None, **options)

    assert "graph/old.npy" in kept.manifest.files
    assert kept.golden() == []
    assert [n for n in rebuilt.manifest.files if "graph" in n] == ["graph/new.npy"]
    assert dropped.graph_dir is None
    assert not (dropped.path / "graph").exists()


@pytest.mark.parametrize("field", ["vocab_hash", "vectors_hash", "n_items"])
def test_a_graph_of_another_bundle_is_refused(tmp_path, graph_file, field):
    """An index says which rows and vectors it was built over."""
    bundle = tiny_bundle(tmp_path / "out")
    foreign = index_of(bundle, **{field: 41 if field == "n_items" else "0" * 64})

    with pytest.raises(IncompatibleArtifactError, match=rf"graph: .*{field}"):
        derive(
            bundle,
            tmp_path / "out",
            files={"graph/neighbors.npy": graph_file},
            index=foreign,
            clock=FakeClock(),
        )


def test_an_index_without_a_graph_is_refused(tmp_path, graph_file):
    """And so is a graph without an index."""
    bundle = tiny_bundle(tmp_path / "out")
    options = {"parent": tmp_path / "out", "clock": FakeClock()}

    with pytest.raises(IncompatibleArtifactError, match="there is no graph"):
        derive(bundle, files={}, index=index_of(bundle), **options)
    with pytest.raises(IncompatibleArtifactError, match="without an index"):
        derive(bundle, files={"graph/neighbors.npy": graph_file}, index=None, **options)


def test_derive_refuses_a_file_name_that_leads_outside(tmp_path, graph_file):
    """File names of a bundle stay inside it."""
    bundle = tiny_bundle(tmp_path / "out")

    with pytest.raises(ContractError, match="not allowed"):
        derive(bundle, tmp_path, files={"../x": graph_file}, index=None, clock=FakeClock())


def test_user_columns_keep_the_order_in_which_the_model_reads_them(tmp_path):
    """Also in the bundle that is derived from it: a manifest on disk has sorted keys."""
    features = {"sex": ["F", "M"], "age": ["[-inf, 30)", "[30, inf)"]}
    bundle = write(tmp_path, replace(tiny_parts(), user_features=features), FakeClock(1.0))
    again = derive(bundle, tmp_path, files={}, index=None, clock=FakeClock(2.0))

    assert list(bundle.manifest.user_features) == ["sex", "age"]
    assert list(load(again.path).manifest.user_features.items()) == list(features.items())
