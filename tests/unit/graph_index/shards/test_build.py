"""A bundle cut into shards: nothing lost, nothing built twice, nothing foreign taken."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from graph_index.attach import build_index, load_graph, open_retriever
from graph_index.settings import BuildSettings, SearchSettings
from graph_index.shards.build import build_shard, shard_bundle
from vizsla.bundles import derive, load, open_shard, read_tables, shard_item_nums, write
from vizsla.clock import FakeClock
from vizsla.errors import ArtifactError, NotFoundError, UsageError
from vizsla.rng import numpy_generator
from vizsla.testing.bundle_suite import reseal
from vizsla.testing.bundles import tiny_parts

N_SHARDS = 3


@pytest.fixture
def bundle(tmp_path):
    table = numpy_generator(0, "shards").standard_normal((40, 2, 3), np.float32)
    parts = replace(tiny_parts(), tables=[table])
    return write(tmp_path / "bundles", parts, FakeClock())


def indexed(bundle, dtype="float32"):
    settings = BuildSettings(max_degree=4, ef_construction=20, table_dtype=dtype)
    search = SearchSettings(proxy_seeds=60, max_rounds=2)
    parent = bundle.path.parent
    return build_index(bundle, parent, settings, seed=5, search=search, clock=FakeClock())


def sharded(bundle, **further):
    return shard_bundle(bundle, bundle.path.parent, N_SHARDS, clock=FakeClock(), **further)


def shards_of(bundle):
    return [open_shard(bundle, number) for number in range(N_SHARDS)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_every_item_is_in_one_shard_with_its_rows(bundle, dtype):
    """Vectors and stored tables are the very rows of the source, whatever their type."""
    whole = indexed(bundle, dtype)
    made, tables = sharded(whole), read_tables(whole)
    shards = shards_of(load(made.path))
    nums = [shard_item_nums(shard) for shard in shards]

    assert sorted(np.concatenate(nums).tolist()) == list(range(40))
    for own, shard in zip(nums, shards, strict=True):
        np.testing.assert_array_equal(shard.item_vectors(), whole.item_vectors()[own])
        mine = read_tables(shard)
        assert mine.dtype == dtype
        for number in range(2):
            np.testing.assert_array_equal(mine.arrays[number], tables.arrays[number][own])
            np.testing.assert_array_equal(mine.rows(number, slice(None)), tables.rows(number, own))


def test_graphs_are_built_like_the_whole_one(bundle):
    """Degree, beam and seed are taken over; a search is narrowed to what a shard has to find."""
    for shard in shards_of(sharded(indexed(bundle))):
        graph, manifest = load_graph(shard)

        assert graph.n_items == shard.manifest.n_items
        assert (manifest.max_degree, manifest.ef_construction, manifest.seed) == (4, 20, 5)
        assert (manifest.search["proxy_seeds"], manifest.search["max_rounds"]) == (34, 2)


def test_dead_items_stay_dead(bundle):
    """What the whole bundle does not return, no shard returns."""
    whole = indexed(bundle)
    folder = bundle.path.parent / "alive"
    alive = np.ones(40, np.bool_)
    alive[[3, 7, 30]] = False
    folder.mkdir()
    np.save(folder / "alive.npy", alive)
    files = {"graph/alive.npy": folder / "alive.npy"}
    paused = derive(
        whole, bundle.path.parent, files=files, index=whole.manifest.index, clock=FakeClock()
    )
    dead = [
        shard_item_nums(shard)[~load_graph(shard)[0].alive] for shard in shards_of(sharded(paused))
    ]

    assert sorted(np.concatenate(dead).tolist()) == [3, 7, 30]


def test_equal_bundles_give_equal_shards(bundle, tmp_path):
    """The new bundle is named by its content, and its content depends on nothing else."""
    again = shard_bundle(bundle, tmp_path / "elsewhere", N_SHARDS, clock=FakeClock(5.0))

    assert sharded(bundle).manifest.content_hash == again.manifest.content_hash


def test_finished_shards_are_not_built_again(bundle):
    """After an interruption only what is missing is built, and nothing is left behind."""
    built = []

    def interrupted(job, numbers):
        build_shard(job, numbers[0])
        built.extend(numbers[:1])
        yield numbers[0]
        raise KeyboardInterrupt

    def go_on(job, numbers):
        for number in numbers:
            build_shard(job, number)
            built.append(number)
            yield number

    with pytest.raises(KeyboardInterrupt):
        sharded(bundle, build=interrupted)
    assert [path.name for path in bundle.path.parent.iterdir() if len(path.name) == 64] == [
        bundle.path.name
    ]
    shares = []
    made = sharded(bundle, build=go_on, progress=lambda _, share: shares.append(share))

    assert built == [0, 1, 2]
    assert shares[0] > 0.2
    assert shares[-1] == 1.0
    names = {path.name for path in bundle.path.parent.iterdir()}
    assert names == {bundle.path.name, made.path.name}


@pytest.mark.parametrize("n_shards", [1, 40, 20_000])
def test_a_number_of_shards_that_cannot_be_is_refused(bundle, n_shards):
    """A shard without items would be a process for nothing."""
    with pytest.raises(UsageError, match=f"--shards {n_shards}"):
        shard_bundle(bundle, bundle.path.parent, n_shards)


def test_shards_are_not_cut_again(bundle):
    """Their searches are narrowed already; the whole bundle is named."""
    made = sharded(bundle)

    with pytest.raises(UsageError, match=f"shard the bundle it came from, {bundle.path.name}"):
        sharded(made)


def test_another_index_replaces_the_shards(bundle):
    """A bundle has shards or a graph, never both."""
    again = indexed(sharded(bundle), None)

    assert again.manifest.shards is None
    assert again.graph_dir is not None
    assert not (again.path / "shards").exists()
    with pytest.raises(NotFoundError, match="no shard 0"):
        open_shard(again, 0)


def test_without_its_shards_a_bundle_can_still_be_searched(bundle):
    """Whoever needs no graph finds items and vectors where they always are."""
    assert open_retriever(sharded(bundle)).n_items == 40


def damaged(tmp_path, bundle):
    target = tmp_path / "damaged"
    shutil.copytree(bundle.path, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755)
    return target


def cut(target):
    path = target / "shards/0001/item_nums.npy"
    path.write_bytes(path.read_bytes()[:-8])


def lost(target):
    shutil.rmtree(target / "shards/0001")


def changed(target):
    path = target / "shards/0001/graph/neighbors.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("damage", [cut, lost, changed])
def test_a_damaged_shard_is_refused_by_name(bundle, tmp_path, damage):
    """One line says which file of which shard."""
    target = damaged(tmp_path, sharded(bundle))
    damage(target)

    with pytest.raises(ArtifactError, match="shards/0001"):
        load(target)


def test_a_foreign_shard_is_refused(bundle, tmp_path):
    """Even with a manifest made to fit: the hash of the ids says who belongs where."""
    target = damaged(tmp_path, sharded(bundle))
    first, second = target / "shards/0000", target / "shards/0001"
    first.rename(tmp_path / "kept")
    second.rename(first)
    (tmp_path / "kept").rename(second)
    names = [path.relative_to(target).as_posix() for path in (target / "shards").rglob("*.*")]
    reseal(target, {}, tuple(names))

    with pytest.raises(ArtifactError, match="shards/000"):
        load(target)
