"""From a bundle and its item log to a new bundle that holds the changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph_index import storage
from graph_index.attach import load_graph
from graph_index.attributes import fitting
from graph_index.check import graph_report
from graph_index.live.compact import CompactItems, compact
from graph_index.live.items import LiveItems
from serving.adapters.bundle_store import GOLDEN_TOLERANCE
from serving.adapters.item_log import apply_log, start_offset
from serving.adapters.item_net import item_net_of
from vizsla.bundles import (
    TABLES_DIR,
    Bundle,
    derive,
    narrowed_tables,
    read_tables,
    table_files,
    vector_space,
)
from vizsla.clock import Clock
from vizsla.contracts.bundle import ChangesRef, GoldenRequest
from vizsla.contracts.events import EventLog
from vizsla.contracts.index import IndexManifest, Query
from vizsla.contracts.placing import ItemPlacer
from vizsla.contracts.tables import ItemTables, TablesManifest
from vizsla.errors import IncompatibleArtifactError
from vizsla.files import sha256_file
from vizsla.user_features import encode_features
from vizsla.vocabulary import UNKNOWN, Vocabulary

__all__ = ["compact_bundle", "write_compacted"]


def compact_bundle(
    bundle: Bundle, log: EventLog, log_file: Path, parent_dir: Path, clock: Clock
) -> tuple[Bundle, int]:
    """Write a new bundle that holds every change of the log so far.

    Returns:
        The new bundle, and how many log records it holds that the given one did not.

    Raises:
        CorruptArtifactError: The bundle has no graph.
        IncompatibleArtifactError: The log ends before what the bundle holds, or the bundle's
            model cannot take items from a table.
        UsageError: No item is left that may be returned.
    """
    graph, _ = load_graph(bundle)
    start = start_offset(bundle.manifest, log, log_file)
    items = LiveItems(
        bundle.vocabulary,
        graph,
        bundle.item_vectors(),
        vector_space=vector_space(bundle.manifest),
        offset=start,
        item_net=_item_net(bundle),
    )
    for _ in apply_log(items, log):
        pass
    compacted = write_compacted(bundle, compact(items), log.log_id, parent_dir, clock)
    return compacted, items.offset - start


def _item_net(bundle: Bundle) -> ItemPlacer | None:
    """Return what the bundle's server would place items with."""
    if not bundle.item_net():
        return None
    from vizsla.models.recommender.loading import load_scorer

    model = bundle.manifest.model
    scorer = load_scorer(model.name, model.config, bundle.weights(), read_tables(bundle))
    return item_net_of(bundle, scorer)


def write_compacted(
    bundle: Bundle, items: CompactItems, log_id: str, parent_dir: Path, clock: Clock
) -> Bundle:
    """Write a new bundle: the given one with other items, its ``parent`` the given one's hash.

    The model keeps every weight; its item net gives way to a table of vectors, since an
    item that came after the training has no embedding.  Golden requests are asked again,
    without the items that are gone.

    Args:
        bundle: What the changes were applied to.
        items: The catalogue after them.
        log_id: Of the log that they came from.
        parent_dir: The new bundle becomes a directory in it.
        clock: For ``created_at``.

    Raises:
        IncompatibleArtifactError: The bundle's model cannot take items from a table, or would
            score requests otherwise whose items have not changed.
    """
    with TemporaryDirectory(prefix="vizsla-compact-") as name:
        folder = Path(name)
        facts = _write_files(bundle, items, folder)
        tables = facts.pop("tables")
        index = _index_manifest(bundle, items, facts)
        storage.save(folder / "graph", items.graph, index)
        held = ChangesRef(
            log_id=log_id, offset=items.offset, vector_space=vector_space(bundle.manifest)
        )
        files = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file()
        }
        return derive(
            bundle,
            parent_dir,
            files=files,
            index=index,
            tables=tables,
            clock=clock,
            facts={**facts, "changes": held},
        )


def _write_files(bundle: Bundle, items: CompactItems, folder: Path) -> dict[str, Any]:
    """Write vectors, items, weights and golden requests; return what the manifest says of them."""
    import torch
    from safetensors.numpy import save_file

    from vizsla.models.recommender.loading import load_matcher, matcher_weights
    from vizsla.models.recommender.scorer import TorchScorer

    model = bundle.manifest.model
    matcher = load_matcher(model.name, model.config, bundle.weights()).with_fixed_items(
        torch.from_numpy(items.item_vectors),
        torch.from_numpy(np.where(items.keeps_vector, items.known_as, UNKNOWN)),
    )
    vocabulary = Vocabulary(items.item_ids)
    np.save(folder / "item_vectors.npy", items.item_vectors, allow_pickle=False)
    pq.write_table(items_table(bundle.items, items), folder / "items.parquet")
    save_file(matcher_weights(matcher), folder / "weights.safetensors")
    scorer = TorchScorer(matcher)
    golden = _golden(bundle, scorer, vocabulary, _kept(items))
    (folder / "golden.jsonl").write_text("".join(golden), encoding="utf-8")
    return {
        "n_items": len(vocabulary),
        "vocab_hash": vocabulary.content_hash,
        "vectors_hash": sha256_file(folder / "item_vectors.npy"),
        "tables": _write_tables(bundle, scorer.tables, folder),
        "model": model.model_copy(
            update={"config": matcher.config.model_dump(mode="json", exclude_defaults=True)}
        ),
    }


def _write_tables(bundle: Bundle, tables: ItemTables, folder: Path) -> TablesManifest | None:
    """Write the tables of the new items as the bundle stores its own; None where it has none."""
    own = bundle.manifest.tables
    if own is None:
        return None
    manifest = TablesManifest(
        dtype=own.dtype,
        n_tables=len(tables.arrays),
        weights_hash=sha256_file(folder / "weights.safetensors"),
        vectors_hash=sha256_file(folder / "item_vectors.npy"),
    )
    for _ in narrowed_tables(tables, own.dtype, folder / TABLES_DIR):
        pass
    for path in (folder / TABLES_DIR).iterdir():
        # float32 item vectors are in a file of their own
        if path.relative_to(folder).as_posix() not in table_files(manifest):
            path.unlink()
    return manifest


def _kept(items: CompactItems) -> set[str]:
    """Return the items that are to the model what they were in the bundle before."""
    kept = items.keeps_vector & (items.known_as != UNKNOWN)
    return {items.item_ids[row] for row in np.flatnonzero(kept).tolist()}


def _golden(bundle: Bundle, scorer: Any, vocabulary: Vocabulary, kept: set[str]) -> list[str]:
    """Ask again; where only kept items are in a request, its answer must be the old one.

    Raises:
        IncompatibleArtifactError: It is another one.
    """
    lines = []
    for row, request in enumerate(bundle.golden(), start=1):
        history = [id_ for id_ in request.history if id_ in vocabulary]
        item_ids = [id_ for id_ in request.item_ids if id_ in vocabulary]
        features = encode_features(bundle.manifest.user_features, request.user_features)
        state = scorer.user_state([Query(vocabulary.nums(history), features)])
        nums = vocabulary.nums(item_ids)
        scores = scorer.score(state, np.zeros(len(nums), np.int64), nums)
        same = kept.issuperset([*request.history, *request.item_ids])
        if same and not np.allclose(
            scores, request.scores, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE
        ):
            raise IncompatibleArtifactError(
                f"{bundle.path / 'golden.jsonl'}: line {row}: the new bundle would answer otherwise, "
                "although no item of it has changed; nothing was written"
            )
        asked = GoldenRequest(
            history=history,
            user_features=request.user_features,
            item_ids=item_ids,
            scores=[float(score) for score in scores],
        )
        lines.append(asked.model_dump_json() + "\n")
    return lines


def _index_manifest(bundle: Bundle, items: CompactItems, facts: Mapping[str, Any]) -> IndexManifest:
    before = bundle.manifest.index
    assert before is not None
    return before.model_copy(
        update={
            "n_items": items.graph.n_items,
            "n_entry_points": len(items.graph.entry_points),
            "vocab_hash": facts["vocab_hash"],
            "vectors_hash": facts["vectors_hash"],
            "report": graph_report(items.graph, items.item_vectors),
        }
    )


def items_table(before: pa.Table, items: CompactItems) -> pa.Table:
    """Return the rows of ``items.parquet``: the bundle's columns, and those that changes brought.

    A value that does not fit its column's type becomes null.
    """
    known_as = [None if row == UNKNOWN else row for row in items.known_as.tolist()]
    kept = before.take(pa.array(known_as, pa.int64()))
    n_interactions = kept.column("n_interactions").fill_null(0)
    columns: dict[str, Any] = {
        "item_num": pa.array(np.arange(len(items.item_ids)), pa.int64()),
        "item_id": pa.array(items.item_ids, pa.string()),
        "n_interactions": n_interactions,
    }
    given = {name for row in items.attributes.values() for name in row}
    for name in [*before.column_names, *sorted(given)]:
        if name not in columns:
            old = kept.column(name) if name in before.column_names else None
            columns[name] = _column(old, name, items)
    return pa.table(columns)


def _column(old: Any, name: str, items: CompactItems) -> Any:
    values = [None] * len(items.item_ids) if old is None else old.to_pylist()
    for row, attributes in items.attributes.items():
        values[row] = attributes.get(name)
    if old is None:
        return _typed(values)
    return pa.array([fitting(value, old.type) for value in values], old.type)


def _typed(values: list[Any]) -> pa.Array:
    """Return a new column of the type that its values have; of several types, as text.

    Example:
        >>> _typed([1, None, 2.5]).type, _typed([["a"], None]).type, _typed([1, "a"]).type
        (DataType(double), ListType(list<item: string>), DataType(string))
    """
    try:
        found = pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if pa.types.is_null(found.type):
        return found.cast(pa.string())
    if pa.types.is_list(found.type) and pa.types.is_null(found.type.value_type):
        return found.cast(pa.list_(pa.string()))
    return found
