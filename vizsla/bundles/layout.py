"""Names of a bundle's files, and the one form in which its manifest is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
from pyarrow import types

from vizsla.contracts.bundle import Manifest

__all__ = [
    "GOLDEN_FILE",
    "GRAPH_DIR",
    "ITEMS_FILE",
    "ITEM_COLUMNS",
    "ITEM_NET_FILE",
    "LATEST_FILE",
    "MANIFEST_FILE",
    "MAX_MANIFEST_BYTES",
    "RANKER_DIR",
    "REQUIRED_FILES",
    "SHARDS_DIR",
    "TABLES_DIR",
    "VECTORS_FILE",
    "WEIGHTS_FILE",
    "canonical",
    "content_hash",
    "is_safe_name",
    "items_problem",
    "manifest_hash",
    "vector_space",
]

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
ITEMS_FILE = "items.parquet"
VECTORS_FILE = "item_vectors.npy"
GOLDEN_FILE = "golden.jsonl"
ITEM_NET_FILE = "item_net.json"
GRAPH_DIR = "graph"
TABLES_DIR = "tables"
SHARDS_DIR = "shards"
RANKER_DIR = "ranker"
LATEST_FILE = "latest_bundle"
REQUIRED_FILES = (WEIGHTS_FILE, ITEMS_FILE, VECTORS_FILE, GOLDEN_FILE)
ITEM_COLUMNS = ("item_num", "item_id", "n_interactions")
MAX_MANIFEST_BYTES = 16 << 20


def canonical(fields: Mapping[str, object]) -> bytes:
    """Return a manifest's fields as the only bytes that stand for them.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(fields, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def content_hash(fields: Mapping[str, object]) -> str:
    """Return the hash that names a bundle: over everything but the time and the hashes."""
    return _hash_without(fields, {"content_hash", "manifest_hash", "created_at"})


def manifest_hash(fields: Mapping[str, object]) -> str:
    """Return the hash over the whole manifest but itself, so that no byte of it can change."""
    return _hash_without(fields, {"manifest_hash"})


def is_safe_name(name: str) -> bool:
    r"""Tell whether a file name of a manifest stays inside the bundle.

    Example:
        >>> [is_safe_name(n) for n in ("graph/a.npy", "../a", "/a", "a//b", "a\\b", "")]
        [True, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    parts_ok = bool(path.parts) and not {".", ".."} & set(path.parts)
    text_ok = name == str(path) and "\\" not in name and name.isprintable()
    return parts_ok and text_ok and not path.is_absolute() and name != MANIFEST_FILE


def vector_space(manifest: Manifest) -> str:
    """Return what tells a bundle's item vectors from those of another training."""
    if manifest.changes is not None:
        return manifest.changes.vector_space
    return manifest.files[WEIGHTS_FILE].sha256


def items_problem(items: pa.Table, n_items: int) -> str | None:
    """Return what is wrong with an item table of ``n_items`` rows, or None."""
    missing = [name for name in ITEM_COLUMNS if name not in items.column_names]
    if missing:
        return f"no column {missing[0]!r}"
    if items.num_rows != n_items:
        return f"{items.num_rows} rows, not {n_items}"
    ids, nums = items.column("item_id"), items.column("item_num")
    if not (types.is_string(ids.type) or types.is_large_string(ids.type)):
        return f"item_id holds {ids.type}, not strings"
    if not types.is_integer(nums.type) or ids.null_count or nums.null_count:
        return "item_num must be integers, and neither it nor item_id may be null"
    in_order = np.array_equal(nums.to_numpy(), np.arange(n_items))
    return None if in_order else "item_num is not the row number"


def _hash_without(fields: Mapping[str, object], left_out: set[str]) -> str:
    kept = {name: value for name, value in fields.items() if name not in left_out}
    return hashlib.sha256(canonical(kept)).hexdigest()
