"""Seam 3: what training hands to everything that serves.

A bundle is a directory named by its content hash::

    manifest.json        this manifest
    weights.safetensors  model tensors
    items.parquet        item_num, item_id, n_interactions, and the item's own columns
    item_vectors.npy     (N, D) float32, output of the item net
    tables/              everything else that a score needs of each item, computed once
    item_net.json        which item columns the item net reads, and their values, if it reads any
    golden.jsonl         requests with the exact answers they must get
    graph/               the index, once built (a new bundle with ``parent``)
    ranker/              an exported ranker, see ``contracts.ranker``, once attached
    shards/0000/ ...     instead of ``tables/`` and ``graph/``: the items divided into shards

Users are not in a bundle: their rows belong to the feature store and can be erased.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vizsla.contracts.index import IndexManifest
from vizsla.contracts.tables import TableDtype, TablesManifest

__all__ = [
    "FORMAT_VERSION",
    "ChangesRef",
    "DatasetRef",
    "FileEntry",
    "GateCheck",
    "GoldenRequest",
    "ItemColumn",
    "Manifest",
    "ModelRef",
    "RankerEntry",
    "ShardEntry",
    "ShardsManifest",
]

FORMAT_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Frozen):
    """Size and hash of one file of the bundle."""

    sha256: str
    n_bytes: int = Field(ge=0)


class ModelRef(_Frozen):
    """Registered name of the model and its configuration, enough to build it again."""

    name: str
    config: dict[str, Any]


class DatasetRef(_Frozen):
    """What the bundle was trained on."""

    name: str
    content_hash: str
    split: dict[str, Any]


class ChangesRef(_Frozen):
    """Which changes of items a bundle holds that its training did not.

    Attributes:
        log_id: The event log that they came from.
        offset: Records below it are in the bundle; a server reads on from here.
        vector_space: Hash of the weights that were trained, which item vectors belong to.
    """

    log_id: str
    offset: int = Field(ge=0)
    vector_space: str


class ShardEntry(_Frozen):
    """What is known of one shard.

    Attributes:
        n_items: Items of the shard.
        content_hash: Hash over the names and hashes of its files.
        index: Its graph; ``vocab_hash`` and ``vectors_hash`` are those of its own items.
        tables: Its item tables, None where only the vectors are stored.
    """

    n_items: int = Field(ge=1)
    content_hash: str
    index: IndexManifest
    tables: TablesManifest | None = None


class ShardsManifest(_Frozen):
    """How a bundle's items are divided.

    Attributes:
        hash_function: What of an ``item_id`` says which shard the item is in.
        shards: In the order of their numbers.
    """

    hash_function: str
    shards: list[ShardEntry] = Field(min_length=2)


class RankerEntry(_Frozen):
    """The ranker of a bundle.

    Attributes:
        content_hash: Of its own manifest, ``ranker/ranker.json``.
        model: Registered name of its backbone.
        frame: Training frame that it was trained on.
        schema_id: Of its ``RankingSchema``.
        dtype: How its embedding tables and the items' side are stored.
        columns: Item field to the column of ``items.parquet`` that holds its values.
    """

    content_hash: str
    model: str
    frame: str
    schema_id: str
    dtype: TableDtype = "float32"
    columns: dict[str, str] = Field(default_factory=dict)


class GateCheck(_Frozen):
    """One comparison of the publish gate, on validation data.

    Attributes:
        rival: What the exhaustive matcher was compared with.
        metric: For instance ``recall_at_20``.
        value: The matcher's figure.
        rival_value: The rival's figure.
        met: Whether ``value > rival_value``, ties excluded; how sure that is, the interval says.
        low: Lower end of the 95 % interval of ``value - rival_value``, paired by query; None where
            there is none.
        high: Its upper end.
    """

    rival: str
    metric: str
    value: float
    rival_value: float
    met: bool
    low: float | None = None
    high: float | None = None

    @property
    def gain(self) -> str:
        """The difference with its interval, as people read it: ``+0.0078 [+0.0034, +0.0121]``."""
        gain = f"{self.value - self.rival_value:+.4f}"
        if self.low is None or self.high is None:
            return gain
        return f"{gain} [{self.low:+.4f}, {self.high:+.4f}]"


class ItemColumn(_Frozen):
    """An item column that the item net reads.

    Attributes:
        name: As in ``items.parquet``.
        role: ``numeric`` values are looked up in buckets such as ``[18, 25.5)``.
        values: Value ``i`` has code ``i + 1``; code 0 is "missing, or never seen".
    """

    name: str
    role: Literal["categorical", "numeric", "multi_valued"]
    values: list[str]


class GoldenRequest(_Frozen):
    """One request and the answer that the bundle gave when it was written.

    ``scores`` must be met within 1e-4 absolute plus 1e-4 relative on any machine.
    """

    history: list[str]
    user_features: dict[str, str] = Field(default_factory=dict)
    item_ids: list[str]
    scores: list[float]


class Manifest(_Frozen):
    """What is in a bundle and where it comes from.

    Attributes:
        content_hash: Hash over the other fields except ``created_at``; names the directory.
        manifest_hash: Hash over all other fields, so that not one byte of the manifest can change.
        vocab_hash: ``Vocabulary.content_hash`` of the items in row order.
        vectors_hash: SHA-256 of ``item_vectors.npy``.
        user_features: Column name to its values, code 1 first; code 0 is "unknown".
        user_columns: The names in the order in which the model reads them.
        metrics: Validation figures of the exported model.
        gate: The comparisons behind ``publishable``.
        tables: What ``tables/`` was computed from, None where there is none.
        shards: How the items are divided, None where they are not.
        ranker: What orders retrieved items, None where there is none.
        parent: Content hash of the bundle this one was derived from.
        changes: What of an event log is in it, None for nothing.
        files: Path within the bundle to its size and hash.
    """

    format_version: int = FORMAT_VERSION
    content_hash: str = ""
    manifest_hash: str = ""
    created_at: str
    vizsla_version: str
    model: ModelRef
    recipe: str
    recipe_settings: dict[str, Any]
    seed: int
    dataset: DatasetRef
    n_items: int
    embedding_size: int
    vocab_hash: str
    vectors_hash: str
    user_features: dict[str, list[str]] = Field(default_factory=dict)
    user_columns: list[str] = Field(default_factory=list)
    metrics: dict[str, float]
    gate: list[GateCheck]
    publishable: bool
    index: IndexManifest | None = None
    tables: TablesManifest | None = None
    shards: ShardsManifest | None = None
    ranker: RankerEntry | None = None
    parent: str | None = None
    changes: ChangesRef | None = None
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _in_the_models_order(self) -> Manifest:
        """A manifest is written with sorted keys; the model reads columns by their place."""
        if self.user_columns and set(self.user_columns) != self.user_features.keys():
            raise ValueError("user_columns does not name the columns of user_features")
        for name in self.user_columns:
            self.user_features[name] = self.user_features.pop(name)
        return self
