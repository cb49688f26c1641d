"""A bundle gets its index, and opens with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from graph_index import storage
from graph_index.backends import BACKENDS
from graph_index.backends.exhaustive import ExhaustiveRetriever
from graph_index.build import BuildProgress, build_graph, default_entry_points
from graph_index.check import graph_report
from graph_index.graph import Graph
from graph_index.settings import BuildSettings, SearchSettings
from vizsla.bundles import TABLES_DIR, Bundle, derive, narrowed_tables, read_tables, table_files
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import IndexManifest, Retriever
from vizsla.contracts.tables import TableDtype, TablesManifest
from vizsla.errors import CorruptArtifactError, UsageError

__all__ = [
    "build_index",
    "configure_index",
    "has_index",
    "load_graph",
    "open_retriever",
    "search_settings",
]

_BACKEND = "graph"
_FOLDER = "graph"
_EXACT = "exact_neighbors"


def build_index(
    bundle: Bundle,
    parent_dir: Path,
    settings: BuildSettings | None = None,
    seed: int = 0,
    *,
    search: SearchSettings | None = None,
    clock: Clock | None = None,
    progress: BuildProgress | None = None,
) -> Bundle:
    """Write a new bundle: the given one with a graph over its item vectors.

    Args:
        bundle: With or without a graph; it is not changed.
        parent_dir: The new bundle becomes a directory in it, named by its content hash.
        settings: How to build; None for the defaults.
        seed: Equal seeds give equal graphs.
        search: Defaults of a search to store with it; None for the measured ones.
        clock: For ``created_at``; None for the machine's.
        progress: See ``graph_index.build.BuildProgress``.

    Returns:
        The new bundle, its ``parent`` the given one's content hash.

    Raises:
        DataError: The item vectors hold a NaN or an infinity.
        UsageError: The bundle has no tables of float32 to store otherwise, or there is no such
            device.
    """
    clock = clock or SystemClock()
    settings = settings or BuildSettings()
    _check_dtype(bundle, settings.table_dtype)
    vectors = bundle.item_vectors()
    narrowed = settings.table_dtype is not None and not has_index(bundle, settings, seed)
    if narrowed and has_index(bundle, settings.model_copy(update={"table_dtype": None}), seed):
        graph = load_graph(bundle)[0]  # only the tables are to change
    else:
        unfinished = parent_dir / f".index-{bundle.manifest.content_hash[:12]}"
        graph = build_graph(vectors, settings, seed, progress=progress, work_dir=unfinished)
    manifest = IndexManifest(
        backend=_BACKEND,
        n_items=graph.n_items,
        max_degree=graph.max_degree,
        ef_construction=settings.beam_of_build(graph.n_items),
        n_entry_points=len(graph.entry_points),
        vocab_hash=bundle.manifest.vocab_hash,
        vectors_hash=bundle.manifest.vectors_hash,
        seed=seed,
        report=graph_report(graph, vectors) | _origin(settings),
        search=(search or SearchSettings.for_catalogue(bundle.manifest.n_items)).model_dump(),
    )
    parts = _Parts(graph, manifest, settings.table_dtype)
    return _derive(bundle, parent_dir, parts, clock, progress)


def open_retriever(
    bundle: Bundle,
    settings: SearchSettings | None = None,
    *,
    clock: Clock | None = None,
    device: str | None = None,
) -> Retriever:
    """Open the bundle's index; without one, a retriever that scores everything.

    Args:
        bundle: A loaded bundle.
        settings: Defaults of a search; None for those stored with the index.
        clock: For deadlines and times; None for the machine's.
        device: Torch device that everything is put on and searched on; None for NumPy and compiled
            code on the processor.

    Raises:
        CorruptArtifactError: The index cannot be read or is broken.
        IncompatibleArtifactError: The index belongs to other items or vectors.
        UnknownNameError: The index was made by a backend that is not installed.
        UsageError: There is no such device, or the bundle has no graph to put on it.
    """
    vectors = bundle.item_vectors()
    if device is not None and bundle.graph_dir is None:
        raise UsageError(f"device {device!r}: {bundle.path} has no graph; run: vizsla index build")
    if bundle.graph_dir is None:
        return ExhaustiveRetriever(vectors, settings, clock=clock)
    graph, manifest = load_graph(bundle)
    chosen = settings or search_settings(manifest)
    backend = BACKENDS.load(manifest.backend if device is None else "torch_device")
    placed = {} if device is None else {"device": device}
    retriever: Retriever = backend.from_graph(
        graph, vectors, chosen, clock=clock, tables=read_tables(bundle), **placed
    )
    return retriever


def configure_index(
    bundle: Bundle,
    parent_dir: Path,
    changes: Mapping[str, str | int],
    *,
    clock: Clock | None = None,
) -> Bundle:
    """Write a new bundle with the same graph and other search settings.

    Args:
        bundle: With a graph; it is not changed.
        parent_dir: The new bundle becomes a directory in it.
        changes: Names of ``SearchSettings`` with values; the others stay as they are.
        clock: For ``created_at``; None for the machine's.

    Raises:
        CorruptArtifactError: The bundle has no graph, or a broken one.
        UsageError: A name that is no setting, or a value that it does not take.
    """
    graph, manifest = load_graph(bundle)
    wanted = search_settings(manifest).model_dump() | dict(changes)
    try:
        search = SearchSettings.model_validate(wanted).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(SearchSettings.model_fields)
        raise UsageError(
            f"search setting {first['loc'][0]}: {first['msg']}; known: {known}"
        ) from None
    changed = manifest.model_copy(update={"search": search})
    return _derive(bundle, parent_dir, _Parts(graph, changed), clock or SystemClock())


def has_index(bundle: Bundle, settings: BuildSettings, seed: int) -> bool:
    """Return whether the bundle's index is the one that these settings would build."""
    manifest, tables = bundle.manifest.index, bundle.manifest.tables
    dtype = settings.table_dtype
    if manifest is None or (dtype and (tables is None or tables.dtype != dtype)):
        return False
    most = settings.n_entry_points or default_entry_points(manifest.n_items)
    return (
        manifest.backend == _BACKEND
        and (manifest.max_degree, manifest.ef_construction, manifest.seed)
        == (settings.max_degree, settings.beam_of_build(manifest.n_items), seed)
        and (_EXACT in manifest.report) == (settings.device is not None)
        # k-means may leave fewer distinct medoids than asked
        and most // 2 <= manifest.n_entry_points <= most
    )


def _origin(settings: BuildSettings) -> dict[str, float]:
    """Say in the report that the neighbours were exact; which device found them does not matter."""
    return {} if settings.device is None else {_EXACT: 1.0}


def load_graph(bundle: Bundle) -> tuple[Graph, IndexManifest]:
    """Load the bundle's graph and check that it belongs to the bundle's items and vectors.

    Raises:
        CorruptArtifactError: There is none, or it is broken.
        IncompatibleArtifactError: It belongs to other items or vectors.
    """
    if bundle.graph_dir is None:
        raise CorruptArtifactError(f"{bundle.path} has no index; run: vizsla index build")
    return storage.load(
        bundle.graph_dir,
        vocab_hash=bundle.manifest.vocab_hash,
        vectors_hash=bundle.manifest.vectors_hash,
    )


def search_settings(manifest: IndexManifest) -> SearchSettings:
    """Return the search settings stored with an index, defaults where it has none."""
    known = {
        name: manifest.search[name]
        for name in SearchSettings.model_fields
        if name in manifest.search
    }
    return SearchSettings(**known)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a bundle with an index has more, or otherwise, than the one it comes from."""

    graph: Graph
    manifest: IndexManifest
    table_dtype: TableDtype | None = None


def _derive(
    bundle: Bundle,
    parent_dir: Path,
    parts: _Parts,
    clock: Clock,
    progress: BuildProgress | None = None,
) -> Bundle:
    parent_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent_dir, prefix=".index.") as name:
        folder = Path(name) / _FOLDER
        storage.save(folder, parts.graph, parts.manifest)
        files = {f"{_FOLDER}/{file}": folder / file for file in storage.FILES}
        tables = _narrowed(bundle, parts.table_dtype, Path(name), progress)
        if tables is not None:
            files |= {file: Path(name) / file for file in table_files(tables)}
        return derive(
            bundle, parent_dir, files=files, index=parts.manifest, tables=tables, clock=clock
        )


def _check_dtype(bundle: Bundle, dtype: TableDtype | None) -> None:
    own = bundle.manifest.tables
    if dtype is None or (own is not None and own.dtype in ("float32", dtype)):
        return
    why = "has no item tables: export it again" if own is None else f"has them in {own.dtype}"
    if own is not None:
        why += f": build from the bundle it came from, {bundle.manifest.parent}"
    raise UsageError(f"--table-dtype {dtype}: {bundle.path} {why}")


def _narrowed(
    bundle: Bundle, dtype: TableDtype | None, folder: Path, progress: BuildProgress | None
) -> TablesManifest | None:
    """Write the tables as another type; None where they stay as they are."""
    tables, own = read_tables(bundle), bundle.manifest.tables
    if tables is None or own is None or dtype in (None, own.dtype):
        return None
    for share in narrowed_tables(tables, dtype, folder / TABLES_DIR):
        if progress is not None:
            progress("tables", share)
    return own.model_copy(update={"dtype": dtype})
