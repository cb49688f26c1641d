"""An engine over six items, with a scorer a person can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graph_index.attributes import AttributeStore
from graph_index.backends.exhaustive import ExhaustiveRetriever
from serving.core.job import Ask, Job
from serving.core.protocols import Engine, UserRow
from vizsla.contracts.index import Mode, Query, SearchOptions, SearchResult
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.scorers import DotScorer
from vizsla.vocabulary import Vocabulary

VECTORS = np.eye(6, dtype=np.float32)


class Items:
    """Items a to f; the earlier in the alphabet, the more popular."""

    vocabulary = Vocabulary(list("abcdef"))

    def n_interactions(self, item_nums: np.ndarray) -> np.ndarray:
        return np.array([60, 50, 40, 30, 20, 10])[item_nums]

    def popular(self, at_most: int, allowed: np.ndarray | None = None) -> np.ndarray:
        return np.arange(6)[slice(None) if allowed is None else allowed][:at_most]

    def is_active(self, item_num: int) -> bool:
        return True

    def attributes(self, item_num: int) -> dict[str, Any]:
        return {"title": "ABCDEF"[item_num]}


def attributes() -> AttributeStore:
    """Items a, c and e are red; prices rise from 0 to 5."""
    colours = ["red", "blue"] * 3
    items = pa.table({"item_id": list("abcdef"), "colour": colours, "price": list(range(6))})
    return AttributeStore(items, Items.vocabulary)


class Users:
    """Known users as a dictionary."""

    def __init__(self, rows: Mapping[str, UserRow]) -> None:
        self.rows = rows

    def find(self, user_id: str) -> UserRow | None:
        return self.rows.get(user_id)

    def __len__(self) -> int:
        return len(self.rows)


class Recorder:
    """A retriever that remembers what it was asked."""

    def __init__(self, inner: ExhaustiveRetriever) -> None:
        self.inner = inner
        self.asked: list[tuple[Sequence[Query], SearchOptions]] = []
        self.n_items = inner.n_items

    def search(
        self, scorer: Any, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        self.asked.append((queries, options))
        return self.inner.search(scorer, queries, options)


@pytest.fixture
def users() -> Users:
    return Users(
        {
            "anna": UserRow(("a", "b"), {"sex": "F"}),
            "ben": UserRow((), {"sex": "M"}),
            "eve": UserRow(("x",)),
        }
    )


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Without side features."""
    manifest = tiny_bundle(tmp_path, n_items=6, embedding_size=6).manifest
    retriever = Recorder(ExhaustiveRetriever(VECTORS))
    return Engine(manifest, Items(), DotScorer(VECTORS), retriever, attributes())


@pytest.fixture
def engine_with_features(engine: Engine) -> Engine:
    manifest = engine.manifest.model_copy(update={"user_features": {"sex": ["F", "M"]}})
    return replace(engine, manifest=manifest)


@pytest.fixture
def job() -> Job:
    return Job(
        asks=(Ask(user_id="anna"),), k=3, mode=Mode.EXHAUSTIVE, exclude_seen=False, deadline_s=1e9
    )
