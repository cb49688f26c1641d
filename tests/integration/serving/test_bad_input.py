"""Bad input at every door: one clear line or problem, nothing half-written, no crash."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from graph_index.attach import build_index
from graph_index.backends.graph_gradient import GradientRetriever
from graph_index.build import BuildSettings, build_graph
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from serving.app import build_app
from vizsla.bundles import Bundle
from vizsla.cli import main
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.errors import ContractError, DataError
from vizsla.testing.bundle_suite import reseal
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.scorers import DotScorer

N = 40
SIZE = 8


def inventory(folder: Path) -> set[str]:
    """Every file and folder, hidden ones too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- bundles that were tampered with, by somebody who makes the hashes right again ---


def put_array(folder: Path, name: str, array: Any) -> None:
    """Replace an array and seal the bundle again."""
    (folder / name).unlink()
    np.save(folder / name, array, allow_pickle=array.dtype == object)
    reseal(folder, {}, (name,))


def nan_vectors(folder: Path) -> str:
    vectors = np.load(folder / "item_vectors.npy")
    vectors[7, 3] = np.nan
    put_array(folder, "item_vectors.npy", vectors)
    fields = json.loads((folder / "manifest.json").read_text())
    sha = fields["files"]["item_vectors.npy"]["sha256"]
    index = {**fields["index"], "vectors_hash": sha}
    reseal(folder, {"vectors_hash": sha, "index": index})
    return "item_vectors.npy: holds values that are not finite, first in row 7"


def duplicate_ids(folder: Path) -> str:
    table = pq.read_table(folder / "items.parquet")
    ids = table.column("item_id").to_pylist()
    place = table.column_names.index("item_id")
    (folder / "items.parquet").unlink()
    pq.write_table(table.set_column(place, "item_id", [[*ids[:-1], ids[2]]]), folder / "items.parquet")  # fmt: skip
    reseal(folder, {}, ("items.parquet",))
    return "items.parquet: a vocabulary has the same identifier twice: 'item-2'"


def other_bundles_graph(folder: Path) -> str:
    """The graph of a bundle with other items and vectors, its files as they are."""
    other = tiny_bundle(folder.parent / "others", n_items=N, embedding_size=SIZE, seed=9)
    graph = build_index(other, folder.parent / "others").path / "graph"
    for path in graph.iterdir():
        (folder / "graph" / path.name).unlink()
        shutil.copy(path, folder / "graph" / path.name)
    reseal(folder, {}, tuple(f"graph/{path.name}" for path in graph.iterdir()))
    shutil.rmtree(folder.parent / "others")
    return "graph"


def another_index_in_the_manifest(folder: Path) -> str:
    fields = json.loads((folder / "manifest.json").read_text())
    reseal(folder, {"index": {**fields["index"], "vocab_hash": "0" * 64}})
    return "built for another bundle (vocab_hash differs)"


def changed(name: str, change: Callable[[Any], Any], said: str) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        put_array(folder, f"graph/{name}.npy", change(np.load(folder / f"graph/{name}.npy")))
        return said

    return damage


def with_value(place: Any, value: int) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[place] = value
        return array

    return change


def cut_file(folder: Path) -> str:
    path = folder / "graph/neighbors.npy"
    raw = path.read_bytes()[:-100]
    path.unlink()
    path.write_bytes(raw)
    reseal(folder, {}, ("graph/neighbors.npy",))
    return "neighbors.npy cannot be read"


DOCTORED: dict[str, Callable[[Path], str]] = {
    "a vector with NaN": nan_vectors,
    "the same id twice": duplicate_ids,
    "the graph of another bundle": other_bundles_graph,
    "an index of another vocabulary": another_index_in_the_manifest,
    "a neighbour out of range": changed("neighbors", with_value((3, 0), N), f"neighbors: item numbers 0 to {N}"),
    "a negative neighbour": changed("neighbors", with_value((3, 0), -1), "neighbors: item numbers -1 to"),
    "an entry out of range": changed("entry_points", with_value(0, N), "entry_points: item numbers"),
    "no entries": changed("entry_points", lambda array: array[:0], "entry_points (0,)"),
    "an alive mask of another length": changed("alive", lambda array: array[:-1], f"alive ({N - 1},)"),
    "neighbours of another type": changed("neighbors", lambda array: array.astype(np.int64), "must be int32"),
    "a degree of 0": changed("neighbors", lambda array: array[:, :0], "max_degree is 0"),
    "a pickle": changed("alive", lambda array: array.astype(object), "alive.npy cannot be read"),
    "a file that was cut": cut_file,
}  # fmt: skip


@pytest.fixture
def doctored(run_dir: Path, tmp_path: Path) -> Callable[[str], tuple[Path, str]]:
    """A run directory whose bundle was tampered with, and what has to be said of it."""

    def make(name: str) -> tuple[Path, str]:
        source = Path((run_dir / "latest_bundle").read_text())
        folder = tmp_path / "run/bundles" / source.name
        shutil.copytree(source, folder)
        folder.chmod(0o755)
        (folder / "graph").chmod(0o755)
        (tmp_path / "run/latest_bundle").write_text(f"bundles/{folder.name}")
        return tmp_path / "run", DOCTORED[name](folder)

    return make


COMMANDS = {
    "check": ["index", "check"],
    "configure": ["index", "configure", "--search", "beam_width=9"],
    "serve": ["serve", "--embedded", "--port", "0"],
    "compact": ["items", "compact"],
}


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """``serve`` sets up the logs of its process, which is ours here."""
    loggers = logging.getLogger(), logging.getLogger("uvicorn")
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def run(arguments: list[str], capsys: Any) -> tuple[int, str]:
    """Run the command as the shell does; one clear line, no traceback."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return int(end.value.code or 0), " ".join((said.err + said.out).split())


@pytest.mark.parametrize("name", DOCTORED)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_doctored_bundle_is_refused(doctored: Any, capsys: Any, command: str, name: str) -> None:
    """By every command that reads a graph: exit status 1, the file or field, nothing written."""
    folder, said = doctored(name)
    (folder / "items.sqlite").touch()
    before = inventory(folder)
    status, error = run([*COMMANDS[command], str(folder)], capsys)

    assert status == 1
    assert said in error
    assert {path for path in inventory(folder) - before if "sqlite" not in path} == set()


@pytest.mark.parametrize("name", ["a vector with NaN", "the same id twice"])
def test_no_graph_is_built_over_bad_items(doctored: Any, capsys: Any, name: str) -> None:
    """``index build`` reads the items only; it leaves no unfinished work behind."""
    folder, said = doctored(name)
    before = inventory(folder)
    status, error = run(["index", "build", "--force", str(folder)], capsys)

    assert status == 1
    assert said in error
    assert inventory(folder) == before


OPTIONS = {
    "--max-degree": ["0", "-3", "513", "many"],
    "--ef-construction": ["0", "-1"],
    "--entry-points": ["0", "-1"],
    "--table-dtype": ["float16"],
    "--threads": ["-1"],
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, vs in OPTIONS.items() for v in vs])
def test_a_wrong_build_option_is_named(run_dir: Path, capsys: Any, option: str, value: str) -> None:
    """Exit status 2, nothing written."""
    before = inventory(run_dir)
    status, error = run(["index", "build", "--force", str(run_dir), option, value], capsys)

    assert status == 2
    assert option in error
    assert inventory(run_dir) == before


@pytest.mark.parametrize("value", ["beam_width=0", "beam_width=-1", "beam=9", "beam_width=x", "x"])
def test_a_wrong_search_setting_is_named(run_dir: Path, capsys: Any, value: str) -> None:
    """Exit status 2, nothing written."""
    before = inventory(run_dir)
    status, error = run(["index", "configure", str(run_dir), "--search", value], capsys)

    assert status == 2
    assert value.partition("=")[0] in error
    assert inventory(run_dir) == before


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_get_no_graph(tmp_path: Path, bad: float) -> None:
    """The row is named, and nothing stays in the work directory."""
    vectors = np.ones((30, 4), np.float32)
    vectors[17, 2] = bad
    with pytest.raises(DataError, match="17"):
        build_graph(vectors, BuildSettings(), 0, work_dir=tmp_path / "work")

    assert inventory(tmp_path) == set()


def test_a_degree_of_0_is_no_setting() -> None:
    """Also through the library."""
    for settings in ({"max_degree": 0}, {"max_degree": -1}, {"ef_construction": 0}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            BuildSettings(**settings)


# --- requests ---


def dot_scorer(bundle: Bundle) -> DotScorer:
    return DotScorer(bundle.item_vectors())


@pytest.fixture(scope="module")
def client(running: Any, run_dir: Path, settings: Any, tmp_path_factory: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("changing")
    shutil.copytree(run_dir / "bundles", folder / "bundles")
    name = Path((run_dir / "latest_bundle").read_text()).name
    (folder / "latest_bundle").write_text(f"bundles/{name}")
    with running(build_app(settings, folder, load_scorer=dot_scorer)) as client:
        yield client


def numbers(first: str) -> str:
    return f"[{first}, " + ", ".join(["1"] * (SIZE - 1)) + "]"


VECTORS = {
    "NaN": (numbers("NaN"), "/vector/0"),
    "Infinity": (numbers("Infinity"), "/vector/0"),
    "-Infinity": (numbers("-Infinity"), "/vector/0"),
    "beyond float64": (numbers("1e999"), "/vector/0"),
    "beyond float32": (numbers("1e39"), "/vector"),
    "its square beyond float64": (numbers("1e200"), "/vector"),
    "too short": ("[1.0]", "/vector"),
    "too long": (f"[{', '.join(['1'] * (SIZE + 1))}]", "/vector"),
    "empty": ("[]", "/vector"),
    "all zero": (f"[{', '.join(['0'] * SIZE)}]", "/vector"),
    "text": ('"1, 1"', "/vector"),
    "nested": ("[[1.0]]", "/vector/0"),
}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("route", ["put", "batch"])
def test_a_bad_vector_is_refused(client: Any, route: str, name: str) -> None:
    """422, or an outcome of its own in a batch; neither catalogue nor log has changed."""
    vector, pointer = VECTORS[name]
    method, path, body = {
        "put": ("PUT", "/v1/items/new", f'{{"vector": {vector}}}'),
        "batch": ("POST", "/v1/items:batch", f'{{"items": [{{"item_id": "new", "vector": {vector}}}]}}'),
    }[route]  # fmt: skip
    end = offset(client)
    answer = client.request(
        method, path, content=body, headers={"Content-Type": "application/json"}
    )
    problem = answer.json() if route == "put" else answer.json()["results"][0]

    assert answer.status_code == (422 if route == "put" else 200), answer.text
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert client.get("/v1/items/new").status_code == 404
    assert offset(client) == end


def test_an_item_may_not_be_twice_in_a_batch(client: Any) -> None:
    """Which change comes last would be a guess: the second is refused."""
    records = [{"item_id": "item-1", "active": True}, {"item_id": "item-1", "active": False}]
    results = client.post("/v1/items:batch", json={"items": records}).json()["results"]

    assert [result["status"] for result in results] == ["changed", "refused"]
    assert results[1]["errors"][0]["pointer"] == "/item_id"


def offset(client: Any) -> int:
    live = client.app.served.live
    return 0 if live._log is None else int(live._log.end("vizsla.items.v1"))


# --- the library's own seam: numbers out of range, scorers that break their word ---

VECTOR_TABLE = np.random.default_rng(0).normal(size=(N, SIZE)).astype(np.float32)
GRAPH: Graph = build_graph(VECTOR_TABLE, BuildSettings(max_degree=8), 0)
MODES = {"walk": Mode.WALK, "exhaustive": Mode.EXHAUSTIVE}
QUERY = Query(np.array([3, 5]))


class Broken(DotScorer):
    """Breaks its word in one way: ``what`` answers with ``value`` in one place."""

    def __init__(self, what: str, value: float = np.nan) -> None:
        super().__init__(VECTOR_TABLE)
        self._what, self._value = what, value

    def _broken(self, name: str, answer: Any) -> Any:
        if name == self._what:
            answer = answer.copy()
            answer.flat[-1] = self._value
        return answer

    def score(self, state: Any, query_of: Any, item_nums: Any) -> Any:
        scores = self._broken("score", super().score(state, query_of, item_nums))
        return scores[:-1] if self._what == "length" else scores

    def proxy(self, state: Any) -> Any:
        return self._broken("proxy", np.asarray(state, np.float32))

    def gradient(self, state: Any, query_of: Any, item_nums: Any) -> Any:
        return self._broken("gradient", np.asarray(state, np.float32)[query_of])


BAD_QUERIES = {
    "a history beyond the catalogue": (Query(np.array([1, N])), {}, "history"),
    "a history below -1": (Query(np.array([-2])), {}, "history"),
    "an exclusion beyond the catalogue": (QUERY, {"excluded": (np.array([N]),)}, "excluded"),
    "a negative exclusion": (QUERY, {"excluded": (np.array([-1]),)}, "excluded"),
    "exclusions of another batch": (QUERY, {"excluded": (np.array([1]),) * 2}, "excluded"),
    "a bitmap that is too short": (QUERY, {"allowed": (np.ones(N - 1, bool),)}, "allowed"),
    "a bitmap of numbers": (QUERY, {"allowed": (np.ones(N, np.int8),)}, "allowed"),
    "bitmaps of another batch": (QUERY, {"allowed": (None, None)}, "allowed"),
    "no results": (QUERY, {"k": 0}, "k must be"),
    "no beam": (QUERY, {"beam_width": 0}, "beam_width"),
    "negative rounds": (QUERY, {"max_rounds": -1}, "max_rounds"),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
@pytest.mark.parametrize("mode", MODES)
def test_a_number_out_of_range_is_named(mode: str, name: str) -> None:
    """Before anything is scored."""
    query, options, said = BAD_QUERIES[name]
    asked = SearchOptions(mode=MODES[mode], **options)
    retriever = GraphRetriever(GRAPH, VECTOR_TABLE)
    with pytest.raises(ContractError, match=said):
        retriever.search(Broken("nothing"), [query], asked)


BREACHES = [("score", np.nan), ("score", np.inf), ("score", -np.inf), ("length", 0.0)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("what", "value"), BREACHES)
def test_a_scorer_that_breaks_its_word_is_an_error(mode: str, what: str, value: float) -> None:
    """A NaN compares with nothing: it would fall through the beam without a word."""
    retriever = GraphRetriever(GRAPH, VECTOR_TABLE, SearchSettings(proxy_seeds=4))
    with pytest.raises(ContractError, match="the scorer returned"):
        retriever.search(Broken(what, value), [QUERY], SearchOptions(k=3, mode=MODES[mode]))


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("proxy_scan_below", [0, N])
def test_a_proxy_that_is_no_number_is_an_error(value: float, proxy_scan_below: int) -> None:
    """Also where only its products overflow, and whether it is scanned or walked."""
    settings = SearchSettings(proxy_seeds=4, proxy_scan_below=proxy_scan_below)
    retriever = GraphRetriever(GRAPH, VECTOR_TABLE * 2, settings)
    with pytest.raises(ContractError, match="proxy"):
        retriever.search(Broken("proxy", value), [QUERY], SearchOptions(k=3, mode=Mode.WALK))


def test_a_gradient_that_is_no_number_is_an_error() -> None:
    """It chooses which neighbours are scored."""
    settings = SearchSettings(proxy_seeds=4, keep_percent=50)
    retriever = GradientRetriever(GRAPH, VECTOR_TABLE, settings)
    with pytest.raises(ContractError, match="gradient"):
        retriever.search(Broken("gradient"), [QUERY], SearchOptions(k=3, mode=Mode.WALK))


def test_a_search_after_an_error_is_as_if_there_had_been_none() -> None:
    """The marks of the walk that broke off are begun again."""
    retriever = GraphRetriever(GRAPH, VECTOR_TABLE, SearchSettings(proxy_seeds=4))
    options = SearchOptions(k=3, mode=Mode.WALK)
    before = retriever.search(Broken("nothing"), [QUERY], options)[0]
    with pytest.raises(ContractError):
        retriever.search(Broken("score"), [QUERY], options)
    after = retriever.search(Broken("nothing"), [QUERY], options)[0]

    np.testing.assert_array_equal(after.item_nums, before.item_nums)
    np.testing.assert_array_equal(after.scores, before.scores)
