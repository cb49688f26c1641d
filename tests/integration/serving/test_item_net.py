"""A new item is placed by its columns alone, where the item net reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner

from graph_index.attach import build_index
from serving.app import build_app
from serving.cli import items as items_cli
from vizsla.bundles import BundleParts, load, write
from vizsla.clock import FakeClock
from vizsla.contracts.bundle import DatasetRef, ItemColumn, ModelRef
from vizsla.models.recommender.item_columns import ItemColumns
from vizsla.models.recommender.loading import build_matcher, load_scorer, matcher_weights

N_ITEMS = 60
COLUMNS = [
    ItemColumn(name="genre", role="categorical", values=["crime", "drama", "music"]),
    ItemColumn(name="year", role="numeric", values=["[-inf, 1990)", "[1990, 2000)", "[2000, inf)"]),
    ItemColumn(name="tags", role="multi_valued", values=["new", "old", "red"]),
]
CONFIG = {
    "n_items": N_ITEMS, "embedding_size": 8, "score_hidden": [8, 4], "max_history": 5,
    "item_feature_sizes": [3, 3], "item_multi_sizes": [3], "item_hidden": 4,
}  # fmt: skip
ROWS = [
    {
        "genre": [None, "crime", "drama", "music"][num % 4],
        "year": [1985, 1990, 2010][num % 3],
        "tags": [["new"], ["old", "red"], []][num % 3],
    }
    for num in range(N_ITEMS)
]
OTHER = {"genre": "music", "year": 1995, "tags": ["red"]}


def made_run(folder: Path, *, item_ids: bool, seed: int = 0) -> Path:
    """A run directory with a small deep matcher; ``item_ids`` as in its configuration."""
    config = {**CONFIG, "item_ids": item_ids}
    matcher = build_matcher("nann", config)
    generator = torch.Generator().manual_seed(seed)
    matcher.reset_parameters(generator)
    with torch.no_grad():
        for parameter in matcher.items.residual.parameters():
            parameter.normal_(std=0.3, generator=generator)
    packed = [ItemColumns(COLUMNS).packed(row) for row in ROWS]
    width = max(codes.shape[1] for codes, _ in packed)
    matcher.items.set_features(
        *(
            np.concatenate([np.pad(one[part], ((0, 0), (0, width - one[part].shape[1]))) for one in packed])
            for part in (0, 1)
        )
    )  # fmt: skip
    weights = matcher_weights(matcher)
    scorer = load_scorer("nann", config, weights)
    table = {name: [row[name] for row in ROWS] for name in ("genre", "year", "tags")}
    ids = {"item_num": np.arange(N_ITEMS), "item_id": [f"i{num}" for num in range(N_ITEMS)]}
    parts = BundleParts(
        model=ModelRef(name="nann", config=config),
        weights=weights,
        items=pa.table({**ids, "n_interactions": np.arange(N_ITEMS, 0, -1), **table}),
        item_vectors=scorer.item_vectors.copy(),
        golden=[],
        recipe="none",
        recipe_settings={},
        seed=0,
        dataset=DatasetRef(name="none", content_hash="0" * 64, split={}),
        publishable=True,
        item_net=COLUMNS,
        tables=list(scorer.tables.arrays[1:]),
    )
    bundle = build_index(write(folder / "bundles", parts, FakeClock(1.7e9)), folder / "bundles")
    (folder / "latest_bundle").write_text(f"bundles/{bundle.path.name}")
    return folder


Serve = Callable[[Path], Any]


@pytest.fixture
def serve(running: Any, settings: Any) -> Iterator[Serve]:
    """Start servers of run directories; all end with the test."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(running(build_app(settings, folder)))


def put(client: Any, item_id: str, **body: Any) -> Any:
    return client.request("PUT", f"/v1/items/{item_id}", json=body)


def vector_of(client: Any, item_id: str) -> Any:
    engine = client.app.served.current.engine
    return np.array(engine.retriever.item_vectors[engine.catalogue.vocabulary.num(item_id)])


def found(client: Any, history: list[str]) -> dict[str, float]:
    body = {"history": history, "k": 100, "mode": "walk", "exclude_seen": False}
    answer = client.post("/v1/retrieve", json=body)
    assert answer.status_code == 200, answer.text
    return {item["item_id"]: item["score"] for item in answer.json()["results"][0]["items"]}


def test_an_items_own_columns_give_its_own_vector(serve: Serve, tmp_path: Path) -> None:
    """Under another id, in a net without ids: the same vector, the same scores, found at once."""
    client = serve(made_run(tmp_path, item_ids=False))
    for num in range(1, 13):
        assert put(client, f"new-{num}", attributes=ROWS[num]).status_code == 201
        np.testing.assert_allclose(vector_of(client, f"new-{num}"), vector_of(client, f"i{num}"), atol=1e-6)  # fmt: skip
    scores = found(client, ["i3", "i4"])

    for num in range(1, 13):
        assert scores[f"new-{num}"] == pytest.approx(scores[f"i{num}"], abs=1e-5)


def test_an_item_without_an_embedding_of_its_own_is_placed_by_its_columns(
    serve: Serve, tmp_path: Path
) -> None:
    """Where items have one, a new item's is zero; two with the same columns lie together."""
    client = serve(made_run(tmp_path, item_ids=True))
    put(client, "one", attributes=ROWS[5])
    put(client, "two", attributes={**ROWS[5], "title": "not read"})
    put(client, "other", attributes=OTHER)

    np.testing.assert_array_equal(vector_of(client, "one"), vector_of(client, "two"))
    assert not np.allclose(vector_of(client, "one"), vector_of(client, "other"), atol=0.01)
    assert not np.allclose(vector_of(client, "one"), vector_of(client, "i5"), atol=0.01)
    assert np.linalg.norm(vector_of(client, "one")) == pytest.approx(1)
    assert {"one", "two", "other"} <= found(client, ["i3"]).keys()


@pytest.mark.parametrize("item_ids", [False, True])
def test_changed_columns_move_an_item(serve: Serve, tmp_path: Path, item_ids: bool) -> None:
    """Its vector and tables are those of its new columns; what is not read moves nothing."""
    client = serve(made_run(tmp_path, item_ids=item_ids))
    before = vector_of(client, "i5")
    put(client, "i5", attributes={**ROWS[5], "title": "not read"})
    untouched = vector_of(client, "i5")
    put(client, "i5", attributes=OTHER)
    moved = vector_of(client, "i5")
    put(client, "i5", attributes=ROWS[5])

    np.testing.assert_array_equal(untouched, before)
    assert not np.allclose(moved, before, atol=0.01)
    np.testing.assert_allclose(vector_of(client, "i5"), before, atol=1e-6)


def test_a_given_vector_outlives_a_change_of_columns(serve: Serve, tmp_path: Path) -> None:
    """``vector`` and ``similar_items`` are what the customer says, for new items and old ones."""
    client = serve(made_run(tmp_path, item_ids=False))
    put(client, "new", attributes=ROWS[5], similar_items=["i7"])
    put(client, "i9", vector=vector_of(client, "i8").tolist())
    for item_id, like in (("new", "i7"), ("i9", "i8")):
        put(client, item_id, attributes=OTHER)
        np.testing.assert_allclose(vector_of(client, item_id), vector_of(client, like), atol=1e-6)


@pytest.mark.parametrize("attributes", [None, {}, {"genre": "never seen"}, {"title": "x"}])
def test_a_new_item_that_the_net_knows_nothing_of_is_refused(
    serve: Serve, tmp_path: Path, attributes: Any
) -> None:
    """With the columns named, and nothing written."""
    client = serve(made_run(tmp_path, item_ids=False))
    answer = put(client, "new", attributes=attributes)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/attributes"
    assert "genre, year, tags" in answer.json()["errors"][0]["detail"]
    assert "new" not in found(client, ["i3"])


@pytest.mark.parametrize("item_ids", [False, True])
def test_a_compacted_bundle_goes_on_reading_columns(
    serve: Serve, tmp_path: Path, item_ids: bool
) -> None:
    """Its table of vectors keeps the part of the net that new items need."""
    folder = made_run(tmp_path, item_ids=item_ids)
    client = serve(folder)
    put(client, "one", attributes=ROWS[5])
    before = vector_of(client, "one")
    put(client, "i6", attributes=OTHER)
    moved = vector_of(client, "i6")
    done = CliRunner().invoke(items_cli, ["compact", str(folder)])
    assert done.exit_code == 0, done.output
    after = serve(folder)
    put(after, "two", attributes=ROWS[5])
    put(after, "one", attributes=OTHER)
    put(after, "three", attributes=OTHER)

    assert load(folder).manifest.model.config["fixed_items"]
    np.testing.assert_array_equal(vector_of(after, "i6"), moved)
    np.testing.assert_allclose(vector_of(after, "two"), before, atol=1e-6)
    np.testing.assert_allclose(vector_of(after, "one"), vector_of(after, "three"), atol=1e-6)


def test_under_newly_trained_weights_the_columns_place_an_item_again(
    serve: Serve, tmp_path: Path
) -> None:
    """A vector of other weights means nothing; the log has the columns too."""
    folder = made_run(tmp_path, item_ids=False)
    first = serve(folder)
    put(first, "new", attributes=ROWS[5])
    put(first, "i7", attributes=OTHER)
    made_run(folder, item_ids=False, seed=1)
    second = serve(folder)

    assert not np.allclose(vector_of(first, "i5"), vector_of(second, "i5"), atol=0.01)
    np.testing.assert_allclose(vector_of(second, "new"), vector_of(second, "i5"), atol=1e-6)
    put(second, "like-i7", attributes=OTHER)
    np.testing.assert_allclose(vector_of(second, "i7"), vector_of(second, "like-i7"), atol=1e-6)
