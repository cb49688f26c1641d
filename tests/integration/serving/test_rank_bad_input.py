"""``POST /v1/rank`` with what nobody should send: refused with the place, or taken as no value."""

from __future__ import annotations

import pytest

from serving.app import build_app
from vizsla.bundles import load
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.testing.rankers import tiny_ranker
from vizsla.testing.scorers import DotScorer

ITEMS = [{"item_id": "item-1"}, {"item_id": "item-2"}]


def dot_scorer(bundle):
    return DotScorer(bundle.item_vectors())


@pytest.fixture(scope="module")
def ranking(running, settings, run_dir, tmp_path_factory):
    """A server of the tiny bundle with a tiny ranker."""
    folder = tmp_path_factory.mktemp("ranked")
    ranker = tiny_ranker(folder / "ranker")
    bundle = attach_ranker(load(run_dir), ranker, folder / "bundles", clock=FakeClock())
    (folder / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    (folder / "users.parquet").write_bytes((run_dir / "users.parquet").read_bytes())
    with running(build_app(settings, folder, load_scorer=dot_scorer)) as client:
        yield client


def pctr(client, **body):
    response = client.post("/v1/rank", json={"items": ITEMS, **body})
    assert response.status_code == 200, response.text
    return {one["item_id"]: one["pctr"] for one in response.json()["items"]}


def test_categories_that_training_did_not_know_share_one_code(ranking):
    """Any of them gives the same answer, another one than a known value gives."""
    first = pctr(ranking, context={"hour": "never seen"})
    second = pctr(ranking, context={"hour": "nor this"})

    assert first == second
    assert first != pctr(ranking, context={"hour": "3"})


def test_a_missing_field_is_a_null_one(ranking):
    """Neither is what an unknown value is."""
    missing = pctr(ranking, user_features={"age": 30})

    assert missing == pctr(ranking, user_features={"age": 30}, context={"hour": None})
    assert missing != pctr(ranking, user_features={"age": 30}, context={"hour": "never seen"})


def test_an_unknown_user_and_item_are_ranked_by_the_rest(ranking):
    """Nothing is refused, and the item is named as unknown."""
    body = {"user_id": "nobody", "items": [{"item_id": "nothing"}]}
    response = ranking.post("/v1/rank", json=body)

    assert response.status_code == 200
    assert response.json()["items"][0]["known"] is False


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"user_features": {"age": "old"}}, "/user_features/age"),
        ({"user_features": {"age": [30]}}, "/user_features/age"),
        ({"user_features": {"age": {"years": 30}}}, "/user_features/age"),
        ({"context": {"hour": ["3"]}}, "/context/hour"),
        ({"history": "item-1"}, "/history"),
        ({"history": 5}, "/history"),
        ({"items": [{"item_id": "item-1", "fields": {"genre": ["a"]}}]}, "/items/0/fields/genre"),
        ({"items": [{"item_id": "item-1", "bid": "much"}]}, "/items/0/bid"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(ranking, body, pointer):
    """Text or a list for a number, a list for a category, text or a number for a sequence."""
    response = ranking.post("/v1/rank", json={"items": ITEMS, **body})

    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    # a value that could be of several types is refused once for each of them
    assert all(one["pointer"].startswith(pointer) for one in response.json()["errors"])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "body",
    [
        '{"items": [{"item_id": "item-1"}], "user_features": {"age": %s}}',
        '{"items": [{"item_id": "item-1", "bid": %s}]}',
        '{"items": [{"item_id": "item-1"}], "context": {"hour": %s}}',
    ],
)
def test_numbers_that_are_not_finite_are_refused(ranking, body, number):
    """JSON has none, whatever some writers put there; an answer never holds one either."""
    response = ranking.post(
        "/v1/rank", content=body % number, headers={"Content-Type": "application/json"}
    )

    assert response.status_code in (400, 422), response.text
    assert "NaN" not in response.text.replace(number, "")
