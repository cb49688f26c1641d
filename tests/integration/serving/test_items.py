"""Items are changed over HTTP and found, or not found, by the next search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.app import build_app
from vizsla.bundles import Bundle
from vizsla.contracts.api import Problem
from vizsla.errors import LogUnavailableError
from vizsla.testing.scorers import DotScorer

SIZE = 8


def dot_scorer(bundle: Bundle) -> DotScorer:
    return DotScorer(bundle.item_vectors())


@pytest.fixture
def own_run_dir(run_dir: Path, tmp_path: Path) -> Path:
    """A run directory with a log of its own."""
    folder = tmp_path / "run"
    shutil.copytree(run_dir / "bundles", folder / "bundles")
    name = Path((run_dir / "latest_bundle").read_text()).name
    (folder / "latest_bundle").write_text(f"bundles/{name}")
    return folder


@pytest.fixture
def app(own_run_dir: Path, settings: Any) -> Any:
    return build_app(settings, own_run_dir, load_scorer=dot_scorer)


@pytest.fixture
def client(running: Any, app: Any) -> Iterator[Any]:
    with running(app) as client:
        yield client


def vector_of(client: Any, item_id: str) -> list[float]:
    engine = client.app.served.current.engine
    num = engine.catalogue.vocabulary.num(item_id)
    return [float(value) for value in engine.retriever.item_vectors[num]]


def found(
    client: Any, history: list[str], mode: str = "exhaustive", k: int = 100, **more: Any
) -> list[str]:
    body = {"history": history, "k": k, "mode": mode, **more}
    answer = client.post("/v1/retrieve", json=body)
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["results"][0]["items"]]


@pytest.mark.parametrize("mode", ["exhaustive", "walk"])
def test_a_new_item_is_found_by_the_next_search(client: Any, mode: str) -> None:
    """It scores like the item whose vector it has, and is found from it."""
    answer = client.request("PUT", "/v1/items/new", json={"vector": vector_of(client, "item-5")})
    items = found(client, ["item-5"], mode)

    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "created"
    assert set(items) == {f"item-{num}" for num in range(40)} | {"new"}
    assert abs(items.index("new") - items.index("item-5")) == 1
    assert found(client, ["new"], mode) == found(client, ["item-5"], mode)


@pytest.mark.parametrize("mode", ["exhaustive", "walk"])
def test_an_item_is_filtered_by_what_a_change_says_of_it(client: Any, mode: str) -> None:
    """A new item with a genre of its own, and then an old one that changes to it."""
    filters = [{"attribute": "genre", "equals": "own"}]
    put = {"vector": vector_of(client, "item-5"), "attributes": {"genre": "own"}}
    client.request("PUT", "/v1/items/new", json=put)
    new = found(client, ["item-5"], mode, filters=filters)
    client.request("PUT", "/v1/items/item-7", json={"attributes": {"genre": "own"}})

    assert new == ["new"]
    assert set(found(client, ["item-5"], mode, filters=filters)) == {"new", "item-7"}


def test_a_paused_item_comes_back_when_it_is_resumed(client: Any) -> None:
    """Paused: known, in no answer; active again: as before."""
    before = found(client, ["item-1"])
    paused = client.request("PUT", "/v1/items/item-3", json={"active": False})
    without = found(client, ["item-1"])
    popular = client.post("/v1/retrieve", json={"user_id": "nobody", "k": 100}).json()
    client.request("PUT", "/v1/items/item-3", json={"attributes": {"title": "Other"}})
    described = found(client, ["item-1"])
    client.request("PUT", "/v1/items/item-3", json={"active": True})

    assert described == without
    assert paused.json()["status"] == "changed"
    assert without == [item for item in before if item != "item-3"]
    names = [item["item_id"] for item in popular["results"][0]["items"]]
    assert "item-3" not in names
    assert found(client, ["item-1"]) == before


def test_a_removed_item_is_gone_everywhere(client: Any) -> None:
    """From answers, histories and the item's own route; its neighbours heal meanwhile."""
    removed = client.request("DELETE", "/v1/items/item-3")
    client.app.served.live._healing._after_s = 0
    client.app.served.live.tend()
    answer = client.post("/v1/retrieve", json={"history": ["item-3", "item-4"], "k": 100})

    assert removed.status_code == 200
    assert removed.json()["status"] == "removed"
    assert "item-3" not in found(client, ["item-1"], "walk")
    assert client.get("/v1/items/item-3").status_code == 404
    assert client.request("DELETE", "/v1/items/item-3").status_code == 404
    assert answer.json()["results"][0]["warnings"][0]["names"] == ["item-3"]
    assert client.app.served.live._items.live.n_unhealed == 0


def test_a_moved_item_takes_its_new_place(client: Any) -> None:
    """An item with another vector is found there, once, and keeps its attributes."""
    before = client.get("/v1/items/item-7").json()
    client.request("PUT", "/v1/items/item-7", json={"similar_items": ["item-20"]})

    items = found(client, ["item-20"])
    assert abs(items.index("item-7") - items.index("item-20")) == 1
    assert len(items) == 40
    assert client.get("/v1/items/item-7").json() == before


def test_a_vector_survives_whatever_place_its_item_comes_to(
    client: Any, running: Any, own_run_dir: Path, settings: Any
) -> None:
    """Places are used again; a later change that gives no vector keeps the acknowledged one."""
    for source in ("item-5", "item-6") * 20:
        put = {"vector": vector_of(client, source)}
        assert client.request("PUT", "/v1/items/item-9", json=put).status_code == 200
        client.app.served.live._items.live.heal()
        if client.app.served.live._items.num("item-9") == 9:
            break
    assert client.app.served.live._items.num("item-9") == 9
    client.request("PUT", "/v1/items/item-9", json={"active": False})
    last = json.loads(client.app.served.live._log.read("vizsla.items.v1", 0)[-1].record.value)

    assert last["vector"] == put["vector"]
    with running(build_app(settings, own_run_dir, load_scorer=dot_scorer)) as second:
        assert vector_of(second, "item-9") == put["vector"]


def test_similar_items_go_on_until_a_vector_is_given(client: Any) -> None:
    """They place the item again after another training, so no later change may lose them."""
    log = lambda: client.app.served.live._log.read("vizsla.items.v1", 0)[-1].record.value  # noqa: E731
    client.request("PUT", "/v1/items/new", json={"similar_items": ["item-1", "item-2"]})
    vector = vector_of(client, "new")
    client.request("PUT", "/v1/items/new", json={"attributes": {"title": "New"}})
    client.request("PUT", "/v1/items/new", json={"active": False})
    carried = json.loads(log())
    client.request("PUT", "/v1/items/new", json={"vector": vector_of(client, "item-7")})

    assert carried["similar_items"] == ["item-1", "item-2"]
    assert carried["vector"] == vector
    assert json.loads(log())["similar_items"] is None


def test_similar_items_give_the_mean_direction(client: Any) -> None:
    """The vector has the mean's direction and the length of the vectors it comes from."""
    similar = ["item-1", "item-2", "item-3"]
    client.request("PUT", "/v1/items/new", json={"similar_items": similar, "attributes": {"a": 1}})
    vectors = np.array([vector_of(client, name) for name in similar])
    made = np.array(vector_of(client, "new"))

    mean = vectors.mean(axis=0)
    expected = mean / np.linalg.norm(mean) * np.linalg.norm(vectors, axis=1).mean()
    np.testing.assert_allclose(made, expected, rtol=1e-5)
    assert client.get("/v1/items/new").json() == {
        "item_id": "new", "active": True, "n_interactions": 0, "attributes": {"a": 1}
    }  # fmt: skip


def test_changes_survive_a_restart_and_reach_other_processes(
    client: Any, running: Any, own_run_dir: Path, settings: Any
) -> None:
    """A second process replays the log at its start, then follows it, and may write too."""
    client.request("PUT", "/v1/items/new", json={"vector": vector_of(client, "item-5")})
    client.request("DELETE", "/v1/items/item-9")
    with running(build_app(settings, own_run_dir, load_scorer=dot_scorer)) as second:
        assert found(second, ["item-1"]) == found(client, ["item-1"])
        second.request("PUT", "/v1/items/other", json={"similar_items": ["new"]})
        client.request("PUT", "/v1/items/new", json={"active": False})
        for one in (client, second):
            one.app.served.live.catch_up()

        assert found(second, ["item-1"]) == found(client, ["item-1"])
        assert {"other"} == set(found(client, ["item-1"])) - {f"item-{n}" for n in range(40)}


def test_an_event_counts_once(client: Any) -> None:
    """A change sent again under its event id does not undo what came after it."""
    first = {"active": False, "event_id": "e1"}
    one = client.request("PUT", "/v1/items/item-3", json=first).json()
    client.request("PUT", "/v1/items/item-3", json={"active": True})
    again = client.request("PUT", "/v1/items/item-3", json=first).json()

    assert again["offset"] == one["offset"]
    assert "item-3" in found(client, ["item-1"])


def test_an_event_id_belongs_to_one_change(client: Any) -> None:
    """Another item, or another change of the item, is refused; nothing false is acknowledged."""
    first = {"active": False, "event_id": "e1"}
    one = client.request("PUT", "/v1/items/item-3", json=first).json()
    other_item = client.request("PUT", "/v1/items/item-4", json=first)
    other_change = client.request("PUT", "/v1/items/item-3", json={**first, "active": True})
    records = [
        {"item_id": "item-5", "active": False, "event_id": "e2"},
        {"item_id": "item-6", "active": False, "event_id": "e2"},
    ]
    results = client.post("/v1/items:batch", json={"items": records}).json()["results"]

    for answer in (other_item, other_change):
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["pointer"] == "/event_id"
    assert [result["status"] for result in results] == ["changed", "refused"]
    missing = {"item-3", "item-5"}
    assert set(found(client, ["item-1"])) == {f"item-{n}" for n in range(40)} - missing
    assert one["offset"] == 0


def test_a_batch_that_is_sent_again_is_acknowledged_again(client: Any) -> None:
    """Even its removals, although the items are not there any more."""
    vector = vector_of(client, "item-5")
    records = [
        {"item_id": "item-3", "action": "remove", "event_id": "r"},
        {"item_id": "new", "vector": vector, "attributes": {"a": 1.5}, "event_id": "p"},
    ]
    first = client.post("/v1/items:batch", json={"items": records}).json()["results"]
    again = client.post("/v1/items:batch", json={"items": records}).json()["results"]

    assert [one["offset"] for one in again] == [one["offset"] for one in first] == [0, 1]
    assert [one["status"] for one in again] == ["removed", "changed"]


def test_changes_of_two_processes_are_both_kept(
    client: Any, running: Any, own_run_dir: Path, settings: Any
) -> None:
    """A record says the whole state, so one made from an older state is made anew."""
    titled = {"attributes": {"title": "Other"}}
    with running(build_app(settings, own_run_dir, load_scorer=dot_scorer)) as second:
        client.request("PUT", "/v1/items/item-9", json={"active": False})
        second.app.served.live.catch_up()
        live = second.app.served.live
        written_first(client, live, "/v1/items/item-3", titled)
        second.request("PUT", "/v1/items/item-3", json={"active": False})
        written_first(client, live, "/v1/items/item-4", None)
        gone = second.request("PUT", "/v1/items/item-4", json={"active": False})
        client.app.served.live.catch_up()
        items = [one.get("/v1/items/item-3").json() for one in (client, second)]

    assert items[0] == items[1]
    assert (items[0]["active"], items[0]["attributes"]) == (False, {"title": "Other"})
    assert gone.status_code == 422
    assert "/vector" in gone.text


def written_first(client: Any, live: Any, path: str, put: Any) -> None:
    """Let the other process write after this one has read the log, once."""
    append = live._log.append

    def late(*args: Any, **options: Any) -> Any:
        live._log.append = append
        method = "DELETE" if put is None else "PUT"
        assert client.request(method, path, json=put).status_code == 200
        return append(*args, **options)

    live._log.append = late


def test_a_process_that_is_never_first_says_so(client: Any) -> None:
    """Bounded, and nothing of it is written."""
    from vizsla.contracts.events import ITEMS_TOPIC, EventRecord

    client.request("PUT", "/v1/items/item-2", json={"active": False})
    log = client.app.served.live._log
    append, numbers = log.append, iter(range(100))

    def late(*args: Any, **options: Any) -> Any:
        append(ITEMS_TOPIC, [EventRecord("x", f"other-{next(numbers)}", b"{}")])
        return append(*args, **options)

    log.append = late
    refused = client.request("PUT", "/v1/items/item-3", json={"active": False})

    assert refused.status_code == 503
    assert "retry" in refused.json()["detail"]
    assert "item-3" in found(client, ["item-1"])


def test_a_batch_takes_what_is_right_and_says_what_is_wrong(client: Any) -> None:
    """Each record has its own outcome; the right ones are searched at once."""
    vector = vector_of(client, "item-5")
    nan = json.dumps({"item_id": "nan", "vector": [float("nan")] * len(vector)})
    records = [
        {"item_id": "a", "vector": vector},
        {"item_id": "item-1", "action": "remove"},
        {"item_id": "a", "active": False},
        {"item_id": "short", "vector": vector[:-1]},
        {"item_id": "long", "vector": [100 * value for value in vector]},
        {"item_id": "nothing"},
        {"item_id": "b", "similar_items": ["gone"]},
        {"item_id": "c", "vector": vector, "similar_items": ["item-2"]},
        {"item_id": "d", "vektor": vector},
        {"item_id": "gone", "action": "remove"},
        {"active": True},
        7,
    ]
    text = ", ".join([*map(json.dumps, records), nan])
    answer = client.post(
        "/v1/items:batch", content=f'{{"items": [{text}]}}',
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    results = answer.json()["results"]
    pointers = [[error["pointer"] for error in result["errors"]] for result in results]

    assert answer.status_code == 200, answer.text
    assert [result["status"] for result in results[:2]] == ["created", "removed"]
    assert all(result["status"] == "refused" for result in results[2:])
    assert pointers[2:] == [
        ["/item_id"], ["/vector"], ["/vector"], ["/vector"], ["/similar_items/0"],
        ["/vector", "/similar_items"], ["/vektor"], [], ["/item_id"], [""],
        [f"/vector/{place}" for place in range(len(vector))],
    ]  # fmt: skip
    assert (answer.json()["n_taken"], answer.json()["n_refused"]) == (2, 11)
    assert "a" in found(client, ["item-5"])
    assert "item-1" not in found(client, ["item-5"])


REFUSED = {
    "NaN": (b'{"vector": [NaN, 1, 1, 1, 1, 1, 1, 1]}', "/vector/0"),
    "infinity": (b'{"vector": [1e999, 1, 1, 1, 1, 1, 1, 1]}', "/vector/0"),
    "wrong size": (b'{"vector": [1.0]}', "/vector"),
    "zero": (b'{"vector": [0, 0, 0, 0, 0, 0, 0, 0]}', "/vector"),
    "nothing for a new item": (b"{}", "/vector"),
    "two sources": (b'{"vector": [1.0], "similar_items": ["item-1"]}', "/vector"),
    "an unknown field": (b'{"vectors": [1.0]}', "/vectors"),
    "text for a flag": (b'{"active": "yes"}', "/active"),
    "unknown similar item": (b'{"similar_items": ["item-1", "gone"]}', "/similar_items/1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_change_is_refused_and_named(client: Any, name: str) -> None:
    """A problem document names the field, and neither log nor catalogue has changed."""
    body, pointer = REFUSED[name]
    headers = {"Content-Type": "application/json"}
    answer = client.request("PUT", "/v1/items/new", content=body, headers=headers)
    problem = Problem.model_validate_json(answer.content)

    assert answer.status_code == 422, answer.text
    assert pointer in [error.pointer for error in problem.errors]
    assert client.get("/v1/items/new").status_code == 404
    assert len(found(client, ["item-1"])) == 40


def test_a_log_that_cannot_be_written_acknowledges_nothing(client: Any) -> None:
    """503 with a time to retry; searches go on."""
    client.request("PUT", "/v1/items/item-2", json={"active": False})
    client.app.served.live._log._open.execute("pragma query_only = on")
    refused = client.request("PUT", "/v1/items/item-3", json={"active": False})

    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/log-unavailable"
    assert refused.headers["Retry-After"] == "1"
    assert "item-3" in found(client, ["item-1"])


def test_a_record_that_cannot_be_read_is_passed_over(client: Any) -> None:
    """One bad record in the log stops nobody."""
    from vizsla.contracts.events import ITEMS_TOPIC, EventRecord

    client.request("PUT", "/v1/items/item-2", json={"active": False})
    log = client.app.served.live._log
    log.append(ITEMS_TOPIC, [EventRecord("x", "bad", b"not json")])
    client.request("PUT", "/v1/items/item-3", json={"active": False})

    assert len(found(client, ["item-1"])) == 38
    metrics = client.get("/metrics").text
    assert 'vizsla_item_changes_total{outcome="skipped"} 1.0' in metrics
    assert "vizsla_item_log_records 3.0" in metrics


def test_the_graph_of_a_changed_catalogue_is_sound(client: Any) -> None:
    """The checker reads the rows that searches walk, before changes and after."""
    before = client.get("/graphz")
    client.request("PUT", "/v1/items/new", json={"vector": vector_of(client, "item-5")})
    client.request("DELETE", "/v1/items/item-6")
    after = client.get("/graphz")

    assert before.json() == after.json() == {"status": "sound", "problems": []}
    assert before.status_code == after.status_code == 200


def test_a_damaged_row_is_found(client: Any) -> None:
    """A row of the running process that leads nowhere turns the answer to 503."""
    client.request("PUT", "/v1/items/new", json={"vector": vector_of(client, "item-5")})
    table = client.app.served.current.engine.retriever.graph.neighbors.base
    table[3, 0] = 99
    answer = client.get("/graphz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "damaged"
    assert "neighbors: item numbers" in answer.json()["problems"][0]


class HiccupingLog:
    """A log whose second read after an append fails, once."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._until_failure = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, *args: Any, **kwargs: Any) -> Any:
        self._until_failure = 2
        return self._log.append(*args, **kwargs)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        self._until_failure -= 1
        if self._until_failure == 0:
            raise LogUnavailableError("the disk hiccups")
        return self._log.read(*args, **kwargs)


def test_a_log_that_fails_after_it_took_a_change_hides_nothing(client: Any) -> None:
    """The caller is told 503, sends it again, is told that it was taken, and it shows at once."""
    client.request("PUT", "/v1/items/item-2", json={"active": False})
    live = client.app.served.live
    own, live._log = live._log, HiccupingLog(live._log)
    body = {"active": False, "event_id": "once"}
    first = client.request("PUT", "/v1/items/item-9", json=body)
    live._log = own
    again = client.request("PUT", "/v1/items/item-9", json=body)

    assert (first.status_code, again.status_code) == (503, 200)
    assert "item-9" not in found(client, ["item-5"])
    assert client.get("/graphz").status_code == 200
