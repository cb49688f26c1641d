"""A catalogue divided among shards: which item is where, and a shard's own files.

::

    shards/0002/item_nums.npy     (n,) int64, ascending: local row to item number of the bundle
    shards/0002/item_vectors.npy  the shard's rows
    shards/0002/tables/           its rows of the item tables, where the bundle had any
    shards/0002/graph/            a graph over its vectors
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from vizsla.bundles.bundle import Bundle
from vizsla.bundles.layout import GRAPH_DIR, SHARDS_DIR, VECTORS_FILE, WEIGHTS_FILE, canonical
from vizsla.bundles.tables import read_tables, table_files
from vizsla.contracts.bundle import FileEntry, Manifest
from vizsla.errors import CorruptArtifactError, IncompatibleArtifactError, NotFoundError
from vizsla.files import sha256_file

__all__ = [
    "HASH_FUNCTION",
    "ITEM_NUMS_FILE",
    "check_shards",
    "open_shard",
    "shard_content_hash",
    "shard_files",
    "shard_item_nums",
    "shard_name",
    "shard_numbers",
    "verify_shard",
]

HASH_FUNCTION = "blake2b-64 of item_id, big-endian, modulo shards"
ITEM_NUMS_FILE = "item_nums.npy"
_HASH_BYTES = 8


def shard_numbers(item_ids: Sequence[str], n_shards: int) -> NDArray[np.int64]:
    """Return ``(N,)`` the shard of each item: by its id alone, on any machine, for ever.

    Example:
        >>> shard_numbers(["50", "100", "181"], 4).tolist()
        [1, 2, 1]
    """
    digests = (hashlib.blake2b(id_.encode(), digest_size=_HASH_BYTES).digest() for id_ in item_ids)
    numbers = (int.from_bytes(digest, "big") % n_shards for digest in digests)
    return np.fromiter(numbers, np.int64, len(item_ids))


def shard_name(number: int) -> str:
    """Return the folder of a shard within the bundle.

    Example:
        >>> shard_name(2)
        'shards/0002'
    """
    return f"{SHARDS_DIR}/{number:04d}"


def shard_content_hash(files: Mapping[str, FileEntry]) -> str:
    """Return the hash over a shard's files: name within the shard to what is in it."""
    named: dict[str, object] = {name: entry.sha256 for name, entry in files.items()}
    return hashlib.sha256(canonical(named)).hexdigest()


def shard_files(manifest: Manifest, number: int) -> dict[str, FileEntry]:
    """Return the files of one shard, by their name within the shard."""
    prefix = f"{shard_name(number)}/"
    return {
        name.removeprefix(prefix): entry
        for name, entry in manifest.files.items()
        if name.startswith(prefix)
    }


def open_shard(bundle: Bundle, number: int) -> Bundle:
    """Return one shard as a bundle with the shard's items, vectors, tables and graph.

    Weights, item identifiers and golden requests are in the whole bundle alone.

    Raises:
        NotFoundError: The bundle has no such shard.
    """
    shards = bundle.manifest.shards
    if shards is None or not 0 <= number < len(shards.shards):
        raise NotFoundError(f"{bundle.path}: no shard {number}")
    entry = shards.shards[number]
    own = {
        "n_items": entry.n_items,
        "vocab_hash": entry.index.vocab_hash,
        "vectors_hash": entry.index.vectors_hash,
        "index": entry.index,
        "tables": entry.tables,
        "shards": None,
        "files": shard_files(bundle.manifest, number),
    }
    return Bundle(bundle.path / shard_name(number), bundle.manifest.model_copy(update=own))


def shard_item_nums(shard: Bundle) -> NDArray[np.int64]:
    """Return ``(n,)`` the item numbers of the shard's rows, mapped from disk.

    Raises:
        CorruptArtifactError: They cannot be read, or are not ascending.
    """
    path = shard.path / ITEM_NUMS_FILE
    try:
        nums = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CorruptArtifactError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    n_items = shard.manifest.n_items
    if nums.dtype != np.int64 or nums.shape != (n_items,) or not (np.diff(nums) > 0).all():
        raise CorruptArtifactError(f"{path}: not {n_items} ascending int64 item numbers")
    return np.asarray(nums)


def verify_shard(shard: Bundle) -> None:
    """Hash the files of one shard, for a process that reads no other.

    Raises:
        CorruptArtifactError: One is missing or not what was written.
    """
    for name, entry in shard.manifest.files.items():
        path = shard.path / name
        if not path.is_file() or sha256_file(path) != entry.sha256:
            _corrupt(shard, f"{name} is missing or not what the manifest says")


def check_shards(bundle: Bundle) -> None:
    """Check that the shards are whole, and together hold every item where its hash puts it.

    Raises:
        CorruptArtifactError: A shard is not what the manifest says.
        IncompatibleArtifactError: A shard of another bundle, or an unknown hash function.
    """
    manifest = bundle.manifest
    found = {name.split("/")[1] for name in manifest.files if name.startswith(f"{SHARDS_DIR}/")}
    if manifest.shards is None:
        if found:
            _foreign(bundle, "shards that the manifest does not describe")
        return
    if manifest.shards.hash_function != HASH_FUNCTION:
        _foreign(bundle, f"hash function {manifest.shards.hash_function!r} is unknown")
    n_shards = len(manifest.shards.shards)
    if found != {shard_name(number).split("/")[1] for number in range(n_shards)}:
        _foreign(bundle, f"the manifest describes {n_shards} shards, there are {len(found)}")
    of = shard_numbers(bundle.vocabulary.ids(), n_shards)
    for number in range(n_shards):
        _check_shard(open_shard(bundle, number), np.flatnonzero(of == number), manifest)


def _check_shard(shard: Bundle, expected: NDArray[np.int64], whole: Manifest) -> None:
    manifest = shard.manifest
    if not np.array_equal(shard_item_nums(shard), expected):
        _foreign(shard, "its items are not those that the hash puts there; shard the bundle again")
    wanted = {ITEM_NUMS_FILE, VECTORS_FILE, *(_tables_of(manifest))}
    rest = set(manifest.files) ^ wanted
    if not rest or any(not name.startswith(f"{GRAPH_DIR}/") for name in rest):
        _corrupt(shard, "its files are not those of a shard")
    if manifest.files[VECTORS_FILE].sha256 != manifest.vectors_hash:
        _foreign(shard, "other vectors than those of its graph")
    tables = manifest.tables
    if tables is not None and tables.weights_hash != whole.files[WEIGHTS_FILE].sha256:
        _foreign(shard, "item tables of other weights")
    shard.item_vectors()
    read_tables(shard)


def _tables_of(manifest: Manifest) -> list[str]:
    return [] if manifest.tables is None else table_files(manifest.tables)


def _corrupt(shard: Bundle, why: str) -> NoReturn:
    raise CorruptArtifactError(f"{shard.path}: {why}")


def _foreign(bundle: Bundle, why: str) -> NoReturn:
    raise IncompatibleArtifactError(f"{bundle.path}: {why}")
