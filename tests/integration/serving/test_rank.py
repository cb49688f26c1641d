"""``POST /v1/rank`` and the rank stage, over a tiny bundle with a tiny ranker."""

from __future__ import annotations

import numpy as np
import pytest

from serving.app import build_app
from vizsla.bundles import load
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.testing.rankers import tiny_ranker, tiny_records
from vizsla.testing.scorers import DotScorer

ITEMS = [{"item_id": f"item-{num}"} for num in range(40)]


def dot_scorer(bundle):
    return DotScorer(bundle.item_vectors())


@pytest.fixture(scope="session")
def ranked_dir(tmp_path_factory, run_dir):
    """The run directory's bundle with a calibrated ranker, and its users."""
    folder = tmp_path_factory.mktemp("ranked")
    calibration = {"curve": {"type": "platt", "slope": 0.5, "intercept": -1.0}}
    ranker = tiny_ranker(folder / "ranker", calibration=calibration)
    bundle = attach_ranker(load(run_dir), ranker, folder / "bundles", clock=FakeClock())
    (folder / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    (folder / "users.parquet").write_bytes((run_dir / "users.parquet").read_bytes())
    return folder


@pytest.fixture(scope="session")
def ranking(running, ranked_dir, settings):
    with running(build_app(settings, ranked_dir, load_scorer=dot_scorer)) as client:
        yield client


def rank(client, **body):
    response = client.post("/v1/rank", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def by_id(answer):
    return {one["item_id"]: one for one in answer["items"]}


def test_every_item_gets_the_calibrated_probability_of_training(ranking, ranked_dir):
    """The golden rows, sent as requests; raw log-odds are halved and lowered by one."""
    exported = load(ranked_dir).ranker()
    for golden in exported.golden()[:5]:
        row = golden.rows
        odds = np.log(golden.probability / (1 - golden.probability)) * 0.5 - 1.0
        answer = rank(
            ranking,
            user_id=row["user_id"],
            **({"history": row["history"]} if row["history"] else {}),
            user_features={"age": row["age"]},
            context={"hour": row["hour"]},
            items=[{"item_id": row["item_id"]}, {"item_id": "item-7"}],
        )

        if row["history"]:  # else anna's stored one counts
            found = by_id(answer)[row["item_id"]]["pctr"]
            assert found == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
        assert answer["ranker"]["calibrated"] is True


def test_items_come_best_first(ranking):
    """Without bids by probability."""
    answer = rank(ranking, user_id="anna", items=ITEMS)
    pctr = [one["pctr"] for one in answer["items"]]

    assert answer["ranked_by"] == "pctr"
    assert pctr == sorted(pctr, reverse=True)
    assert [one["rank"] for one in answer["items"]] == list(range(1, 41))
    assert all(one["ecpm"] is None for one in answer["items"])


def test_an_answer_does_not_depend_on_the_other_items(ranking):
    """Alone, and among forty."""
    among = by_id(rank(ranking, user_id="anna", items=ITEMS))["item-9"]["pctr"]
    alone = rank(ranking, user_id="anna", items=[{"item_id": "item-9"}])["items"][0]["pctr"]

    assert alone == pytest.approx(among, rel=1e-5)


def test_bids_order_by_expected_revenue(ranking):
    """eCPM is 1000 x bid x pCTR; an item without a bid comes last."""
    items = [
        {"item_id": "item-1", "bid": 0.2},
        {"item_id": "item-2"},
        {"item_id": "item-3", "bid": 100.0},
    ]
    answer = rank(ranking, user_id="anna", items=items)

    assert answer["ranked_by"] == "ecpm"
    assert [one["item_id"] for one in answer["items"]] == ["item-3", "item-1", "item-2"]
    assert by_id(answer)["item-1"]["ecpm"] == pytest.approx(
        1000 * 0.2 * by_id(answer)["item-1"]["pctr"]
    )


def test_an_unknown_item_is_ranked_by_what_is_sent_of_it(ranking):
    """It is named as unknown; its genre counts."""
    items = [{"item_id": "new", "fields": {"genre": genre}} for genre in ("a", "b")]
    first, second = (rank(ranking, user_id="anna", items=[one])["items"][0] for one in items)

    assert not first["known"]
    assert not second["known"]
    assert first["pctr"] != second["pctr"]


def test_a_sent_item_field_wins(ranking):
    """The catalogue's own value changes nothing; another one does."""
    own, same, other = (
        rank(ranking, user_id="anna", items=[one])["items"][0]["pctr"]
        for one in (
            {"item_id": "item-5"},
            {"item_id": "item-5", "fields": {"genre": "b"}},
            {"item_id": "item-5", "fields": {"genre": "c"}},
        )
    )

    assert same == pytest.approx(own, rel=1e-6)
    assert other != own


def test_unread_fields_are_ignored_named_and_counted(ranking):
    """What the ranker never knew, and what its search dropped."""
    plain = rank(ranking, user_id="anna", items=ITEMS[:3])
    answer = rank(
        ranking,
        user_id="anna",
        user_features={"shoe_size": 43},
        context={"noise": "1"},
        items=ITEMS[:3],
    )
    metrics = ranking.get("/metrics").text

    assert {one["code"]: one["names"] for one in answer["warnings"]} == {
        "unknown_fields": ["shoe_size"],
        "dropped_fields": ["noise"],
    }
    assert [one["pctr"] for one in answer["items"]] == [one["pctr"] for one in plain["items"]]
    assert 'vizsla_rank_ignored_fields_total{reason="dropped"}' in metrics
    assert "vizsla_rank_items_bucket" in metrics


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"context": {"hour": ["a"]}}, "/context/hour"),
        ({"user_features": {"age": "old"}}, "/user_features/age"),
        ({"items": [{"item_id": "item-1", "fields": {"genre": ["a"]}}]}, "/items/0/fields/genre"),
        ({"items": [{"item_id": "item-1", "bid": -1.0}]}, "/items/0/bid"),
        ({"items": []}, "/items"),
        ({"items": [{"item_id": "a"}] * 1001}, "/items"),
    ],
)
def test_a_wrong_type_is_refused_by_name(ranking, body, pointer):
    """With the place in the request, not in the ranker."""
    response = ranking.post("/v1/rank", json={"items": ITEMS[:2], **body})

    assert response.status_code == 422
    assert [one["pointer"] for one in response.json()["errors"]] == [pointer]


def test_a_bucket_of_the_matcher_is_a_number_to_the_ranker(ranking):
    """Bundles and user tables may hold ``[23, 25)`` where the ranker was trained on numbers."""
    found = [
        rank(ranking, user_features={"age": age}, items=ITEMS[:1])["items"][0]["pctr"]
        for age in (23, "23", "[23, 25)")
    ]

    assert found[0] == found[1] == found[2]


def test_without_a_ranker_the_route_says_what_to_do(client):
    """The bundle of the other tests has none."""
    response = client.post("/v1/rank", json={"items": ITEMS[:1]})

    assert response.status_code == 404
    assert "vizsla bundle attach-ranker" in response.json()["detail"]


def test_a_slate_is_the_rankers_choice(ranking):
    """Its items, best first, each with its probability."""
    answer = ranking.post("/v1/recommend", json={"user_id": "anna", "k": 5, "tmax": 1000}).json()
    pctr = [one["pctr"] for one in answer["items"]]
    # anna's history is items 1 and 2, which a slate leaves out
    others = [one for one in ITEMS if one["item_id"] not in ("item-1", "item-2")]
    ranked = rank(ranking, user_id="anna", items=others)["items"]

    assert answer["ranked_by"] == "ranker"
    assert [one["item_id"] for one in answer["items"]] == [one["item_id"] for one in ranked[:5]]
    assert pctr == pytest.approx([one["pctr"] for one in ranked[:5]], rel=1e-5)


def test_fields_that_a_slate_does_not_use_are_named(ranking):
    """As in ``/v1/rank``."""
    answer = ranking.post(
        "/v1/recommend", json={"user_id": "anna", "context": {"noise": "1"}}
    ).json()

    assert [one["names"] for one in answer["warnings"] if one["code"] == "dropped_fields"] == [
        ["noise"]
    ]


def test_context_reaches_the_rank_stage_and_is_checked(ranking):
    """Another hour, other probabilities; a list is refused."""
    answers = [
        ranking.post("/v1/recommend", json={"user_id": "anna", "context": {"hour": hour}})
        for hour in (3, 4, ["3"])
    ]
    first, second = ([one["pctr"] for one in a.json()["items"]] for a in answers[:2])

    assert first != second
    assert answers[2].status_code == 422
    assert answers[2].json()["errors"][0]["pointer"] == "/context/hour"


def test_retrieval_is_as_it_was(ranking, client):
    """The ranker has no part in it."""
    body = {"user_id": "anna", "k": 5}
    with_ranker, without = (c.post("/v1/retrieve", json=body).json() for c in (ranking, client))

    assert with_ranker["results"][0]["items"] == without["results"][0]["items"]


def test_records_of_the_tiny_ranker_name_the_tiny_bundles_items(ranked_dir):
    """Else the tests above would rank nothing but unknown items."""
    known = load(ranked_dir).vocabulary

    assert all(one["item_id"] in known for one in tiny_records())


def test_what_a_change_says_of_an_item_counts_at_once(running, ranked_dir, settings, tmp_path):
    """A new item and a changed one are ranked by their own genre, as if it had been sent."""
    live = {"log": tmp_path / "items.db"}
    own = settings.model_copy(update={"live": settings.live.model_copy(update=live)})
    with running(build_app(own, ranked_dir, load_scorer=dot_scorer)) as client:
        told = [{"item_id": item_id, "fields": {"genre": "d"}} for item_id in ("fresh", "item-8")]
        before = by_id(rank(client, user_id="anna", items=told))
        for item_id in ("fresh", "item-8"):
            put = {"similar_items": ["item-3"], "attributes": {"genre": "d"}}
            client.request("PUT", f"/v1/items/{item_id}", json=put)
        after = by_id(
            rank(client, user_id="anna", items=[{"item_id": "fresh"}, {"item_id": "item-8"}])
        )

    assert [before["fresh"]["known"], after["fresh"]["known"]] == [False, True]
    for item_id, one in after.items():
        assert one["pctr"] == pytest.approx(before[item_id]["pctr"], rel=1e-5)


def test_a_request_that_is_late_gets_its_items_back(running, ranked_dir, settings):
    """In their order, without probabilities, and with the reason."""
    app = build_app(settings, ranked_dir, load_scorer=dot_scorer, clock=Slow())
    with running(app) as client:
        answer = rank(client, user_id="anna", items=ITEMS[:3], tmax=1)

    assert answer["ranked_by"] == "request"
    assert [(one["item_id"], one["pctr"]) for one in answer["items"]] == [
        (f"item-{num}", None) for num in range(3)
    ]
    assert [(one["fallback"], one["reason"]) for one in answer["degraded"]] == [
        ("request_order", "deadline")
    ]


class Slow(FakeClock):
    """Every look at it takes ten milliseconds."""

    def monotonic_s(self):
        self.advance(0.01)
        return super().monotonic_s()
