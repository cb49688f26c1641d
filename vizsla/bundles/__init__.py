"""Reads and writes bundles: the only place that knows what their directory looks like.

``write`` makes one from its parts, ``derive`` makes a new one from another (with a
graph, say), ``load`` refuses anything that is not exactly what was written.
"""

from vizsla.bundles.bundle import Bundle
from vizsla.bundles.compare import BundleDiff, Change, diff
from vizsla.bundles.layout import LATEST_FILE, TABLES_DIR, vector_space
from vizsla.bundles.load import load, locate
from vizsla.bundles.shards import (
    HASH_FUNCTION,
    ITEM_NUMS_FILE,
    open_shard,
    shard_content_hash,
    shard_item_nums,
    shard_name,
    shard_numbers,
    verify_shard,
)
from vizsla.bundles.tables import narrowed_tables, read_tables, table_files
from vizsla.bundles.write import BundleParts, derive, write

__all__ = [
    "HASH_FUNCTION",
    "ITEM_NUMS_FILE",
    "LATEST_FILE",
    "TABLES_DIR",
    "Bundle",
    "BundleDiff",
    "BundleParts",
    "Change",
    "derive",
    "diff",
    "load",
    "locate",
    "narrowed_tables",
    "open_shard",
    "read_tables",
    "shard_content_hash",
    "shard_item_nums",
    "shard_name",
    "shard_numbers",
    "table_files",
    "vector_space",
    "verify_shard",
    "write",
]
