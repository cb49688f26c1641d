"""``explore`` in requests, and ``GET /v1/ranker``."""

from __future__ import annotations

import pytest

from serving.app import build_app
from vizsla.bundles import load
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.testing.rankers import tiny_ranker
from vizsla.testing.scorers import DotScorer

ITEMS = [{"item_id": f"item-{num}"} for num in range(40)] + [{"item_id": "new"}]
UCB = {"method": "ucb", "n_std": 3.0}
THOMPSON = {"method": "thompson"}


def with_ranker(folder, run_dir, *, unsure):
    """A run directory whose bundle has a ranker."""
    ranker = tiny_ranker(folder / "ranker", unsure=unsure)
    bundle = attach_ranker(load(run_dir), ranker, folder / "bundles", clock=FakeClock())
    (folder / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    (folder / "users.parquet").write_bytes((run_dir / "users.parquet").read_bytes())
    return folder


def started(running, folder, settings):
    return running(
        build_app(settings, folder, load_scorer=lambda bundle: DotScorer(bundle.item_vectors()))
    )


@pytest.fixture(scope="module")
def unsure(running, run_dir, settings, tmp_path_factory):
    folder = with_ranker(tmp_path_factory.mktemp("unsure"), run_dir, unsure=True)
    with started(running, folder, settings) as client:
        yield client


@pytest.fixture(scope="module")
def sure(running, run_dir, settings, tmp_path_factory):
    folder = with_ranker(tmp_path_factory.mktemp("sure"), run_dir, unsure=False)
    with started(running, folder, settings) as client:
        yield client


def post(client, path, request_id="r-1", **body):
    response = client.post(path, json=body, headers={"X-Request-ID": request_id})
    assert response.status_code == 200, response.text
    return response.json()


def rank(client, items=ITEMS, request_id="r-1", **body):
    return post(client, "/v1/rank", request_id, user_id="anna", items=items, **body)


def by_id(answer, field):
    return {one["item_id"]: one[field] for one in answer["items"]}


def order(answer):
    return [one["item_id"] for one in answer["items"]]


def test_upper_bounds_order_and_probabilities_stay(unsure):
    plain, explored = rank(unsure), rank(unsure, explore=UCB)
    shown = [one["explored_pctr"] for one in explored["items"]]

    assert by_id(explored, "pctr") == by_id(plain, "pctr")
    assert shown == sorted(shown, reverse=True)
    assert all(one["explored_pctr"] > one["pctr"] for one in explored["items"])
    assert max(explored["items"], key=lambda one: one["logit_std"])["item_id"] == "new"
    assert explored["ranked_by"] == "explored_pctr"
    assert {one["logit_std"] for one in plain["items"]} == {None}
    assert order(explored) != order(plain) == order(rank(unsure, explore=UCB | {"n_std": 0.0}))


def test_one_deviation_is_the_default(unsure):
    assert (
        rank(unsure, explore={"method": "ucb"})["items"]
        == (rank(unsure, explore={"method": "ucb", "n_std": 1.0})["items"])
    )


def test_a_repeated_request_draws_the_same(unsure):
    """The request id is the seed."""
    first, again = (rank(unsure, explore=THOMPSON) for _ in range(2))
    other = rank(unsure, explore=THOMPSON, request_id="r-2")

    assert first == again
    assert order(other) != order(first)
    assert by_id(other, "pctr") == by_id(first, "pctr")


def test_prices_are_not_explored_but_the_order_is(unsure):
    """1000 x bid x pctr is paid for, 1000 x bid x explored_pctr orders; no bid comes last."""
    items = [one | {"bid": 0.5} for one in ITEMS[:20]] + ITEMS[20:24]
    answer = rank(unsure, items=items, explore=UCB)
    bids, others = answer["items"][:20], answer["items"][20:]

    assert answer["ranked_by"] == "explored_ecpm"
    assert [one["ecpm"] for one in bids] == pytest.approx([500 * one["pctr"] for one in bids])
    assert [one["ecpm"] for one in others] == [None] * 4
    for part in (bids, others):
        shown = [one["explored_pctr"] for one in part]
        assert shown == sorted(shown, reverse=True)


def test_a_slate_explores_among_what_was_retrieved(unsure):
    body = {"user_id": "anna", "k": 10}
    plain = post(unsure, "/v1/recommend", **body)
    none = post(unsure, "/v1/recommend", **body, explore=UCB | {"n_std": 0.0})
    explored = post(unsure, "/v1/recommend", **body, explore=UCB)
    scores = [one["score"] for one in explored["items"]]

    assert order(none) == order(plain)
    assert plain["items"][0]["logit_std"] is None
    assert scores == sorted(scores, reverse=True)
    assert all(one["score"] > one["pctr"] for one in explored["items"])
    assert all(one["logit_std"] > 0 for one in explored["items"])


@pytest.mark.parametrize(
    ("explore", "pointer"),
    [
        ({"method": "greedy"}, "/explore/method"),
        ({"n_std": 1.0}, "/explore/method"),
        ({"method": "ucb", "n_std": -1.0}, "/explore/n_std"),
        ({"method": "ucb", "n_std": 11.0}, "/explore/n_std"),
        ({"method": "thompson", "n_std": 1.0}, "/explore/n_std"),
        ({"method": "thompson", "seed": 1}, "/explore/seed"),
        ("ucb", "/explore"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/rank", "/v1/recommend"])
def test_a_wrong_exploration_is_refused_by_name(unsure, path, explore, pointer):
    items = {"items": ITEMS} if path == "/v1/rank" else {}
    response = unsure.post(path, json={"user_id": "anna", "explore": explore, **items})

    assert response.status_code == 422
    assert [one["pointer"] for one in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/recommend"])
def test_a_ranker_that_cannot_explore_says_what_to_do(sure, path):
    items = {"items": ITEMS} if path == "/v1/rank" else {}
    response = sure.post(path, json={"user_id": "anna", "explore": UCB, **items})
    problem = response.json()

    assert response.status_code == 422
    assert problem["errors"][0]["pointer"] == "/explore"
    assert "train it again" in problem["detail"]
    assert "leave it out" in problem["detail"] or "leave explore out" in problem["detail"]


def test_a_slate_without_a_ranker_cannot_explore(client):
    response = client.post("/v1/recommend", json={"user_id": "anna", "explore": UCB})

    assert response.status_code == 422
    assert "attach" in response.json()["detail"]


def test_the_ranker_is_described(unsure, sure):
    """Fields with widths, also of one that carries no report."""
    answer = unsure.get("/v1/ranker").json()
    fields = {one["name"]: one for one in answer["importance"]["fields"]}

    assert answer["ranker"]["explores"] is True
    assert answer["ranker"]["model"] == "dnn"
    assert fields["noise"]["dim"] == 0
    assert fields["noise"]["reason"].startswith("dropped")
    assert fields["item_id"]["dim"] == 4
    assert answer["schema_id"] == answer["importance"]["schema_id"]
    assert sure.get("/v1/ranker").json()["ranker"]["explores"] is False


def test_without_a_ranker_there_is_nothing_to_describe(client):
    response = client.get("/v1/ranker")

    assert response.status_code == 404
    assert "attach-ranker" in response.json()["detail"]
