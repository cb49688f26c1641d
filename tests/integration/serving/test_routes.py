"""Every route, over the tiny bundle."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_index.attach import open_retriever
from vizsla.bundles import load
from vizsla.contracts.api import ItemResponse, Problem, RecommendResponse, RetrieveResponse
from vizsla.contracts.index import Query, SearchOptions
from vizsla.testing.scorers import DotScorer


def retrieve(client: Any, **body: object) -> RetrieveResponse:
    answer = client.post("/v1/retrieve", json=body)
    assert answer.status_code == 200, answer.text
    return RetrieveResponse.model_validate_json(answer.content)


def recommend(client: Any, **body: object) -> RecommendResponse:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return RecommendResponse.model_validate_json(answer.content)


def ids(items: list) -> list[str]:
    return [item.item_id for item in items]


@pytest.mark.parametrize("mode", ["walk", "exhaustive", "auto"])
def test_equals_the_search_in_process(client: Any, run_dir: Path, mode: str) -> None:
    """The answer over HTTP has the items and scores of the in-process search."""
    bundle = load(run_dir)
    scorer = DotScorer(bundle.item_vectors())
    query = Query(np.array([3, 7]))
    expected = open_retriever(bundle).search(scorer, [query], SearchOptions(k=10, mode=mode))[0]

    result = retrieve(client, history=["item-3", "item-7"], k=10, mode=mode).results[0]

    assert ids(result.items) == [f"item-{num}" for num in expected.item_nums]
    assert np.array([item.score for item in result.items], np.float32).tolist() == (
        expected.scores.tolist()
    )
    assert [item.rank for item in result.items] == list(range(1, 11))
    assert result.work.n_scored == expected.work.n_scored


def test_known_user_is_answered_by_stored_history(client: Any) -> None:
    """A user id stands for the user's stored history."""
    by_id = retrieve(client, user_id="anna", k=5).results[0]
    by_history = retrieve(client, history=["item-1", "item-2"], k=5).results[0]

    assert by_id.items == by_history.items
    assert by_id.cold_start is None


def test_batch_is_what_each_query_gets_alone(client: Any) -> None:
    """Answers of a batch come in order and equal those given alone."""
    queries = [
        {"user_id": "anna"},
        {"history": ["item-9"], "exclude": ["item-9"]},
        {"user_id": "x"},
    ]
    batch = retrieve(client, queries=queries, k=4)
    alone = [retrieve(client, **query, k=4).results[0] for query in queries]

    assert [result.items for result in batch.results] == [result.items for result in alone]
    assert [result.cold_start for result in batch.results] == [
        result.cold_start for result in alone
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"user_id": "nobody"}, "unknown_user"),
        ({"user_id": "ben"}, "empty_history"),
        ({"user_id": "eve"}, "unknown_items"),
        ({"history": ["gone", "lost"]}, "unknown_items"),
        ({"user_features": {}}, "anonymous"),
    ],
)
def test_cold_start_is_the_popular_list(client: Any, body: dict[str, object], reason: str) -> None:
    """Without a usable history the most popular items are answered, and why is said."""
    result = retrieve(client, **body, k=3).results[0]

    assert ids(result.items) == ["item-0", "item-1", "item-2"]
    assert result.cold_start is not None
    assert (result.cold_start.reason, result.cold_start.source) == (reason, "popularity")
    assert result.work.mode == "none"


def test_unknown_items_are_named(client: Any) -> None:
    """Items of a history that are not in the catalogue are ignored and named, once each."""
    result = retrieve(client, history=["item-1", "gone", "gone", "item-2"], k=5).results[0]

    assert [(w.code, w.names) for w in result.warnings] == [("unknown_items", ["gone"])]
    assert result.items == retrieve(client, history=["item-1", "item-2"], k=5).results[0].items


def test_excluded_items_do_not_come_back(client: Any) -> None:
    """Neither search nor the popular list returns an excluded item, and k are still found."""
    plain = ids(retrieve(client, user_id="anna", k=5).results[0].items)
    rest = ids(retrieve(client, user_id="anna", exclude=plain[:3], k=5).results[0].items)
    popular = ids(retrieve(client, user_id="x", exclude=["item-0"], k=2).results[0].items)

    assert rest[:2] == plain[3:]
    assert len(rest) == 5
    assert popular == ["item-1", "item-2"]


def test_seen_items_are_left_out_of_recommendations(client: Any) -> None:
    """A recommendation leaves out the history unless told otherwise; retrieval keeps it."""
    seen = {"item-1", "item-2"}
    default = recommend(client, user_id="anna", k=40)
    kept = recommend(client, user_id="anna", k=40, exclude_seen=False)

    assert not seen & set(ids(default.items))
    assert seen <= set(ids(kept.items))
    assert seen <= set(ids(retrieve(client, user_id="anna", k=40).results[0].items))
    assert [w.code for w in default.warnings] == ["too_few_items"]
    assert default.ranked_by == "retrieval"


def test_request_id_is_echoed_or_made(client: Any) -> None:
    """A safe id comes back in header and body; an unsafe or missing one is replaced."""
    body = {"user_id": "anna"}
    sent = client.post("/v1/retrieve", json=body, headers={"X-Request-ID": "order-7"})
    unsafe = client.post("/v1/retrieve", json=body, headers={"X-Request-ID": "two words"})

    assert sent.headers["x-request-id"] == sent.json()["request_id"] == "order-7"
    assert len(unsafe.headers["x-request-id"]) == 32
    assert unsafe.json()["request_id"] == unsafe.headers["x-request-id"]


def test_server_timing_names_every_stage(client: Any) -> None:
    """The answer says where its time went."""
    answer = client.post("/v1/recommend", json={"user_id": "anna"})
    names = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]

    assert names == ["parse", "features", "retrieve", "filter", "rank", "respond", "total"]


def test_scores_have_float32_digits(client: Any) -> None:
    """Scores are written with no more digits than a float32 has."""
    text = client.post("/v1/retrieve", json={"user_id": "anna", "k": 40}).text
    scores = re.findall(r'"score":([^,]+),"rank"', text)

    assert len(scores) == 40
    assert all(str(np.float32(score)) == score for score in scores)


def test_item_is_shown_with_its_columns(client: Any) -> None:
    """An item's own columns and count come back; an unknown one is a 404 problem."""
    known = client.get("/v1/items/item-3")
    unknown = client.get("/v1/items/item-99")

    assert ItemResponse.model_validate_json(known.content) == ItemResponse(
        item_id="item-3", n_interactions=37, attributes={"title": "Title 3", "genre": "d"}
    )
    assert unknown.status_code == 404
    assert Problem.model_validate_json(unknown.content).type == "/problems/not-found"


@pytest.mark.parametrize("raw", ["a%2Fb", "a/b", "..%2Fetc", "%F0%9F%90%B6", "%00", "x" * 5000])
def test_any_item_id_can_be_asked_for(client: Any, raw: str) -> None:
    """Slashes, other alphabets and long ids are ids like any other, and unknown here."""
    answer = client.get(f"/v1/items/{raw}")

    assert answer.status_code == 404
    assert Problem.model_validate_json(answer.content).type == "/problems/not-found"
    assert len(answer.content) < 1000


def test_health_and_readiness(client: Any) -> None:
    """A started server is alive and ready, and says with which bundle."""
    ready = client.get("/readyz").json()

    assert client.get("/healthz").json() == {"status": "ok"}
    assert (ready["status"], ready["n_items"], ready["n_users"]) == ("ready", 40, 3)
    assert ready["bundle"]["index"] == "graph"


def test_metrics_count_requests(client: Any) -> None:
    """The metrics page has the routes as templates, never the path itself."""
    client.get("/v1/items/item-3")
    client.get("/no/such/route")
    page = client.get("/metrics").text

    assert 'route="/v1/items/{item_id:path}",status="200"' in page
    assert 'route="unmatched",status="404"' in page
    assert 'vizsla_errors_total{problem="not-found"}' in page
    assert "item-3" not in page


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_head_is_get_without_a_body(client: Any, path: str) -> None:
    """HEAD has the status of GET and no body."""
    head = client.head(path)

    assert (head.status_code, head.content) == (client.get(path).status_code, b"")


@pytest.mark.parametrize(("path", "allowed"), [("/v1/retrieve", "POST"), ("/healthz", "GET")])
def test_options_lists_the_methods(client: Any, path: str, allowed: str) -> None:
    """OPTIONS answers with the methods and nothing else."""
    answer = client.options(path)

    assert answer.status_code == 204
    assert allowed in answer.headers["allow"]


def test_pages_need_nothing_from_elsewhere(client: Any) -> None:
    """The pages for people load no script or style from another host."""
    for path in ("/docs", "/problems/invalid-request"):
        page = client.get(path).text

        assert "<h1>" in page
        assert "://" not in page


GENRE_A = [{"attribute": "genre", "any_of": ["a"]}]


@pytest.mark.parametrize("mode", ["walk", "exhaustive", "auto"])
def test_filters_hold_in_every_mode(client: Any, mode: str) -> None:
    """Only items for which all filters hold come back, as many as there are."""
    filters = [*GENRE_A, {"attribute": "n_interactions", "lte": 20}]
    result = retrieve(client, history=["item-3"], k=10, mode=mode, filters=filters).results[0]

    # item i has 40 - i interactions, and genre a when 4 divides i
    assert sorted(ids(result.items)) == ["item-20", "item-24", "item-28", "item-32", "item-36"]
    assert [notice.code for notice in result.warnings] == ["too_few_items"]
    assert result.warnings[0].detail.endswith("the filters allow 5 items")


def test_the_popular_list_obeys_filters(client: Any) -> None:
    """A user that nobody knows gets the most popular of the allowed items."""
    answer = recommend(client, user_id="nobody", k=3, filters=GENRE_A)

    assert answer.cold_start is not None
    assert ids(answer.items) == ["item-0", "item-4", "item-8"]


def test_each_query_of_a_batch_has_its_own_filters(client: Any) -> None:
    """Filters belong to a query and change no other's answer."""
    free = {"history": ["item-1"]}
    some, other = retrieve(client, queries=[{**free, "filters": GENRE_A}, free], k=5).results
    alone = retrieve(client, **free, k=5).results[0]

    assert all(int(id_.removeprefix("item-")) % 4 == 0 for id_ in ids(some.items))
    assert other.items == alone.items


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (
            {"filters": [{"attribute": "gener", "equals": "a"}]},
            ["/filters/0/attribute"],
        ),
        (
            {"filters": [{"any": [{"attribute": "genre", "gt": 1}, {"attribute": "x", "gt": 1}]}]},
            ["/filters/0/any/0/gt", "/filters/0/any/1/attribute"],
        ),
        ({"filters": [{"attribute": "genre"}]}, ["/filters/0/attribute"]),
        ({"filters": [{"attribute": "genre", "any_of": ["a", None]}]}, ["/filters/0/any_of/1"]),
        ({"filters": [{"attribute": "genre", "like": "a"}]}, ["/filters/0/like"]),
        ({"filters": {"attribute": "genre"}}, ["/filters"]),
        ({"filters": [{"all": []}]}, ["/filters/0/all"]),
        ({"filters": [{}]}, ["/filters/0/attribute"]),
    ],
)
@pytest.mark.parametrize("route", ["/v1/retrieve", "/v1/recommend"])
def test_wrong_filters_are_named(
    client: Any, route: str, body: dict[str, Any], pointers: list[str]
) -> None:
    """Unknown attributes, wrong operators and wrong shapes are problems with their places."""
    answer = client.post(route, json={"history": ["item-1"], **body})
    problem = Problem.model_validate_json(answer.content)

    assert answer.status_code == 422
    assert [error.pointer for error in problem.errors] == pointers


def test_filters_of_a_batch_are_named_with_their_query(client: Any) -> None:
    """The place of a wrong filter tells whose it is; a batch has none of its own."""
    wrong = {"history": ["item-1"], "filters": [{"attribute": "x", "gt": 1}]}
    in_query = client.post("/v1/retrieve", json={"queries": [{"history": ["item-1"]}, wrong]})
    on_top = client.post(
        "/v1/retrieve", json={"queries": [{"history": ["item-1"]}], "filters": GENRE_A}
    )

    assert in_query.json()["errors"][0]["pointer"] == "/queries/1/filters/0/attribute"
    assert on_top.json()["errors"][0]["pointer"] == "/filters"


def test_deep_and_long_filters_are_refused(client: Any) -> None:
    """Depth, number of filters and number of values are bounded."""
    deep: dict[str, Any] = GENRE_A[0]
    for _ in range(9):
        deep = {"all": [deep]}
    many = [GENRE_A[0]] * 101
    long = [{"attribute": "item_id", "none_of": ["x"] * 6000}] * 2
    for filters in ([deep], many, long):
        answer = client.post("/v1/retrieve", json={"history": ["item-1"], "filters": filters})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == "/filters"
