"""``vizsla index describe``: a bundle's graph in figures and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graph_index.analysis.structure import structure
from graph_index.attach import load_graph, search_settings
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from vizsla.bundles import Bundle, load, read_tables
from vizsla.cli_output import print_json, print_table, say
from vizsla.contracts.index import ProxyScorer, Query, Scorer
from vizsla.errors import DataError, NotFoundError, UsageError
from vizsla.figures import check_pictures
from vizsla.files import file_name_of
from vizsla.registry import Registry
from vizsla.user_features import encode_features
from vizsla.vocabulary import UNKNOWN

__all__ = ["describe"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SCORERS = Registry("scorer", {"deep": "vizsla.models.recommender.loading:load_scorer"})
"""The index knows no model; what walks are drawn under is named here."""


def describe(
    bundle: Annotated[
        Path,
        typer.Argument(help="A bundle, or a directory of `vizsla train` (its latest bundle)."),
    ],
    out: Annotated[Path | None, typer.Option(help="Directory for pictures; default: none.")] = None,
    item: Annotated[
        str | None, typer.Option(help="Draw the surroundings of the item with this id.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Draw the walk of the user with this id.")
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="users.parquet; default: the one of the run directory, if any."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Results of the drawn walk.")] = 10,
    json: Json = False,
) -> None:
    """Describe a bundle's graph: degrees, components, hops, edges; and draw it."""
    if out is None and (item or user):
        raise UsageError("--item and --user draw pictures: say where with --out DIR")
    if out is not None:
        check_pictures()
    opened = load(bundle)
    graph, _ = load_graph(opened)
    pictures = [] if out is None else _Pictures(opened, graph, out).draw(item, user, users, k)
    facts = structure(graph, opened.item_vectors()).facts
    if json:
        print_json({"bundle": opened.path, **facts, "pictures": pictures})
        return
    print_table(f"Graph of {opened.path}", ["property", "value"], facts.items())
    for path in pictures:
        say(f"picture: {path}")


class _Pictures:
    """Draws into a directory; what was asked for is looked up before anything is written."""

    def __init__(self, bundle: Bundle, graph: Graph, out: Path) -> None:
        self._bundle = bundle
        self._graph = graph
        self._vectors = bundle.item_vectors()
        self._out = out

    def draw(self, item: str | None, user: str | None, users: Path | None, k: int) -> list[Path]:
        """Draw the degrees, and what else was asked for; return the files."""
        num = None if item is None else self._item_num(item)
        query = None if user is None else self._query(user, users)
        self._out.mkdir(parents=True, exist_ok=True)
        made = [self._degrees()]
        if num is not None:
            made.append(self._surroundings(num))
        if query is not None and user is not None:
            made.append(self._walk(user, query, k))
        return made

    def _degrees(self) -> Path:
        from graph_index.analysis.pictures import draw_degrees

        target = self._out / "degrees.png"
        title = f"{self._bundle.manifest.dataset.name}: {self._graph.n_items:,} items, degree {self._graph.max_degree}"  # fmt: skip
        draw_degrees(structure(self._graph, self._vectors), title, target)
        return target

    def _surroundings(self, num: int) -> Path:
        from graph_index.analysis.pictures import draw_surroundings

        item_id = self._bundle.vocabulary.id(num)
        target = self._out / f"item-{file_name_of(item_id)}.png"
        draw_surroundings(self._graph, self._vectors, num, self._name, target)
        return target

    def _walk(self, user: str, query: Query, k: int) -> Path:
        from graph_index.analysis.pictures import draw_walks
        from graph_index.analysis.tracing import trace_walk

        index = self._bundle.manifest.index
        assert index is not None
        tables = read_tables(self._bundle)
        settings, scorer = search_settings(index), self._scorer(tables)
        retriever = GraphRetriever(self._graph, self._vectors, settings, tables=tables)
        starts = {"the entry set": 0}
        if isinstance(scorer, ProxyScorer) and settings.proxy_seeds:
            starts = {"the proxy's best": settings.proxy_seeds, **starts}
        traces = {
            start: trace_walk(retriever, scorer, query, k, proxy_seeds=seeds)
            for start, seeds in starts.items()
        }
        target = self._out / "walk.png"
        title = (
            f"{self._bundle.manifest.dataset.name}: the {k} best of {self._graph.n_items:,} items "
            f"for user {user}, of whom {len(query.history)} items are known"
        )
        draw_walks(self._vectors, traces, self._name, title, target)
        return target

    def _scorer(self, tables: Any) -> Scorer:
        model = self._bundle.manifest.model
        scorer: Scorer = SCORERS.load("deep")(
            model.name, model.config, self._bundle.weights(), tables
        )
        return scorer

    def _item_num(self, item: str) -> int:
        num = self._bundle.vocabulary.num(item)
        if num == UNKNOWN:
            raise NotFoundError(f"--item: no item {item!r} in {self._bundle.path}")
        return num

    def _query(self, user: str, users: Path | None) -> Query:
        row = _user_row(users or self._bundle.path.resolve().parent.parent / "users.parquet", user)
        history = self._bundle.vocabulary.nums(row["history"] or [])
        texts = {name: value for name, value in row.items() if isinstance(value, str)}
        features = encode_features(self._bundle.manifest.user_features, texts)
        return Query(history[history != UNKNOWN], features)

    def _name(self, num: int) -> str:
        items = self._bundle.items
        title = items.column("title")[num].as_py() if "title" in items.column_names else None
        return str(title or self._bundle.vocabulary.id(num))


def _user_row(path: Path, user: str) -> dict[str, Any]:
    """Return a user's row of a ``users.parquet``.

    Raises:
        DataError: It cannot be read, or is no such table.
        NotFoundError: No such file, or no such user.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise NotFoundError(f"{path}: no users; give the file with --users")
    try:
        found = pq.read_table(path, filters=[("user_id", "==", user)]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: {' '.join(str(error).split())[:300]}") from None
    if not found:
        raise NotFoundError(f"--user: no user {user!r} in {path}")
    if "history" not in found[0]:
        raise DataError(f"{path}: no column 'history'")
    row: dict[str, Any] = found[0]
    return row
