"""Build the shards of a bundle, each complete or not at all, and put them into a new bundle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index import storage
from graph_index.attach import load_graph, search_settings
from graph_index.build import BuildProgress, build_graph
from graph_index.check import graph_report
from graph_index.graph import Graph
from graph_index.settings import BuildSettings, SearchSettings
from graph_index.shards.divide import most_in_one
from vizsla.bundles import (
    HASH_FUNCTION,
    ITEM_NUMS_FILE,
    TABLES_DIR,
    Bundle,
    derive,
    load,
    read_tables,
    shard_content_hash,
    shard_name,
    shard_numbers,
    table_files,
)
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.bundle import FileEntry, ShardEntry, ShardsManifest
from vizsla.contracts.index import IndexManifest
from vizsla.contracts.tables import TablesManifest
from vizsla.errors import UsageError
from vizsla.files import atomic_directory, sha256_file, write_text
from vizsla.vocabulary import Vocabulary

__all__ = ["BuildShards", "ShardJob", "build_shard", "build_shards", "shard_bundle"]

_BACKEND = "graph"
_FOLDER = "graph"
_VECTORS = "item_vectors.npy"
_ENTRY = "shard.json"
_SHARED = (
    "beam_width",
    "entry_width",
    "proxy_seeds",
    "seed_effort",
    "auto_rescores",
    "filtered_beam_width",
    "filtered_entry_width",
    "filtered_proxy_seeds",
)
"""Search settings that count items of the whole catalogue."""
_ROWS_AT_ONCE = 65_536
_MOST_SHARDS = 10_000


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What every shard of one bundle is built with; plain values, so that it can travel.

    Attributes:
        bundle: The bundle's directory, as whoever builds a shard sees it.
        folder: Where finished shards are kept until all are there.
        n_shards: S.
        settings: How each graph is built.
        search: Search settings to store with each graph.
        seed: Equal seeds give equal shards.
    """

    bundle: Path
    folder: Path
    n_shards: int
    settings: BuildSettings
    search: SearchSettings
    seed: int


BuildShards = Callable[[ShardJob, list[int]], Iterable[int]]
"""Builds the shards with these numbers and yields each number when it is done."""


def build_shards(job: ShardJob, numbers: list[int]) -> Iterable[int]:
    """Build shards one after another, in this process."""
    for number in numbers:
        build_shard(job, number)
        yield number


def shard_bundle(
    bundle: Bundle,
    parent_dir: Path,
    n_shards: int,
    build: BuildShards = build_shards,
    *,
    clock: Clock | None = None,
    progress: BuildProgress | None = None,
) -> Bundle:
    """Write a new bundle: the given one with its items divided among shards.

    Degree, beam, seed and search settings are those of the bundle's graph, the defaults where
    it has none.  Shards that an interrupted call finished are not built again.

    Args:
        bundle: With or without a graph; it is not changed.
        parent_dir: The new bundle becomes a directory in it.
        n_shards: At least 2.
        build: Who builds them, and where.
        clock: For ``created_at``; None for the machine's.
        progress: Called with ``shards`` and the share of the items whose shard is finished.

    Raises:
        UsageError: The bundle is sharded, or a shard would have no items.
    """
    counts = _counts(bundle, n_shards)
    parent_dir.mkdir(parents=True, exist_ok=True)
    job = _job(bundle, parent_dir, n_shards)
    job.folder.mkdir(exist_ok=True)
    missing = [n for n in range(n_shards) if not _folder(job, n).is_dir()]
    done = int(counts.sum() - counts[missing].sum())
    _report(progress, done / bundle.manifest.n_items)
    for number in build(job, missing):
        done += int(counts[number])
        _report(progress, done / bundle.manifest.n_items)
    made = _derive(bundle, parent_dir, job, clock or SystemClock())
    shutil.rmtree(job.folder)
    return made


def build_shard(job: ShardJob, number: int) -> None:
    """Build one shard into the job's folder: its rows, its tables and its graph."""
    bundle = load(job.bundle, verify=False)
    ids = bundle.vocabulary.ids()
    nums = np.flatnonzero(shard_numbers(ids, job.n_shards) == number)
    with atomic_directory(_folder(job, number)) as folder:
        np.save(folder / ITEM_NUMS_FILE, nums, allow_pickle=False)
        vectors = _copy_rows(bundle.item_vectors(), nums, folder / _VECTORS)
        graph = build_graph(
            vectors,
            job.settings,
            job.seed,
            alive=_alive(bundle)[nums],
            work_dir=job.folder / f".{number:04d}",
        )
        vectors_hash = sha256_file(folder / _VECTORS)
        vocab_hash = Vocabulary([ids[num] for num in nums]).content_hash
        index = _index_manifest(job, graph, vectors, vocab_hash, vectors_hash)
        storage.save(folder / _FOLDER, graph, index)
        tables = _copy_tables(bundle, nums, folder, vectors_hash)
        entry = ShardEntry(n_items=len(nums), content_hash="", index=index, tables=tables)
        write_text(folder / _ENTRY, entry.model_dump_json())


def _counts(bundle: Bundle, n_shards: int) -> NDArray[np.int64]:
    if bundle.manifest.shards is not None:
        raise UsageError(
            f"{bundle.path} is sharded; shard the bundle it came from, {bundle.manifest.parent}"
        )
    if not 2 <= n_shards <= _MOST_SHARDS:
        raise UsageError(f"--shards {n_shards}: 2 to {_MOST_SHARDS} shards can be made")
    of = shard_numbers(bundle.vocabulary.ids(), n_shards)
    counts = np.bincount(of, minlength=n_shards)
    if not counts.all():
        raise UsageError(
            f"--shards {n_shards}: shard {int(np.argmin(counts))} would have no item, "
            f"the bundle has {bundle.manifest.n_items}; make fewer"
        )
    return counts


def _job(bundle: Bundle, parent_dir: Path, n_shards: int) -> ShardJob:
    own, settings, seed = bundle.manifest.index, BuildSettings(), 0
    search = SearchSettings.for_catalogue(bundle.manifest.n_items)
    if own is not None:
        settings = BuildSettings(max_degree=own.max_degree, ef_construction=own.ef_construction)
        search, seed = search_settings(own), own.seed
    search = _divided(search, n_shards)
    said = f"{n_shards} {settings.model_dump_json()} {search.model_dump_json()} {seed}"
    key = hashlib.sha256(said.encode()).hexdigest()[:8]
    folder = parent_dir.resolve() / f".shards-{bundle.manifest.content_hash[:12]}-{key}"
    return ShardJob(bundle.path.resolve(), folder, n_shards, settings, search, seed)


def _divided(search: SearchSettings, n_shards: int) -> SearchSettings:
    """Narrow a search to what one shard has to find."""
    own = {name: most_in_one(getattr(search, name), n_shards) for name in _SHARED}
    return search.model_copy(update=own)


def _alive(bundle: Bundle) -> NDArray[np.bool_]:
    if bundle.graph_dir is None:
        return np.ones(bundle.manifest.n_items, np.bool_)
    return load_graph(bundle)[0].alive


def _index_manifest(
    job: ShardJob,
    graph: Graph,
    vectors: NDArray[np.float32],
    vocab_hash: str,
    vectors_hash: str,
) -> IndexManifest:
    return IndexManifest(
        backend=_BACKEND,
        n_items=graph.n_items,
        max_degree=graph.max_degree,
        ef_construction=job.settings.beam_of_build(graph.n_items),
        n_entry_points=len(graph.entry_points),
        vocab_hash=vocab_hash,
        vectors_hash=vectors_hash,
        seed=job.seed,
        report=graph_report(graph, vectors),
        search=job.search.model_dump(),
    )


def _copy_tables(
    bundle: Bundle, nums: NDArray[np.int64], folder: Path, vectors_hash: str
) -> TablesManifest | None:
    """Write the shard's rows of the bundle's tables, as they are stored there."""
    tables, own = read_tables(bundle), bundle.manifest.tables
    if tables is None or own is None:
        return None
    (folder / TABLES_DIR).mkdir()
    made = own.model_copy(update={"vectors_hash": vectors_hash})
    for name in table_files(made):
        number = int(Path(name).name.split(".")[0])
        source = tables.scales if name.endswith(".scale.npy") else tables.arrays
        _copy_rows(source[number], nums, folder / name)
    return made


def _copy_rows(source: NDArray[Any], nums: NDArray[np.int64], path: Path) -> NDArray[Any]:
    """Write some rows of a mapped array, in pieces; return them mapped."""
    shape = (len(nums), *source.shape[1:])
    into = np.lib.format.open_memmap(path, mode="w+", dtype=source.dtype, shape=shape)
    for start in range(0, len(nums), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        into[rows] = source[nums[rows]]
    into.flush()
    return np.asarray(into)


def _derive(bundle: Bundle, parent_dir: Path, job: ShardJob, clock: Clock) -> Bundle:
    files: dict[str, Path] = {}
    entries = []
    for number in range(job.n_shards):
        folder = _folder(job, number)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        own = {path.relative_to(folder).as_posix(): path for path in paths if path.name != _ENTRY}
        entries.append(_sealed(folder / _ENTRY, own))
        files |= {f"{shard_name(number)}/{name}": path for name, path in own.items()}
    shards = ShardsManifest(hash_function=HASH_FUNCTION, shards=entries)
    facts = {"shards": shards}
    return derive(bundle, parent_dir, files=files, index=None, facts=facts, clock=clock)


def _sealed(entry_file: Path, own: dict[str, Path]) -> ShardEntry:
    """Read what is known of a finished shard, and hash its files."""
    entry = ShardEntry.model_validate_json(entry_file.read_bytes())
    sizes = {
        name: FileEntry(sha256=sha256_file(path), n_bytes=path.stat().st_size)
        for name, path in own.items()
    }
    return entry.model_copy(update={"content_hash": shard_content_hash(sizes)})


def _folder(job: ShardJob, number: int) -> Path:
    return job.folder / f"{number:04d}"


def _report(progress: BuildProgress | None, share: float) -> None:
    if progress is not None:
        progress("shards", share)
