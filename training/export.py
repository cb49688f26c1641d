"""From a trained matcher to a bundle, and the users' table beside it.

Shapes: **N** items, **U** users, **K** results.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.data import EncodedFeatures, EvalCases, Ragged, Split
from training.gate import GateReport
from training.model import ReadsItemFeatures
from training.recipe import Recipe
from vizsla.bundles import LATEST_FILE, Bundle, BundleParts, write
from vizsla.bundles.layout import ITEM_COLUMNS
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.bundle import DatasetRef, GoldenRequest, ItemColumn, ModelRef
from vizsla.contracts.index import Query
from vizsla.files import atomic_path, write_text
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.loading import matcher_weights
from vizsla.models.recommender.scorer import TorchScorer
from vizsla.rng import numpy_generator

__all__ = [
    "Trained",
    "export_bundle",
    "golden_requests",
    "items_table",
    "known_histories",
    "users_table",
]

N_GOLDEN = 16
GOLDEN_K = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training.

    Attributes:
        matcher: With its final weights.
        config: What the matcher was built with, JSON-able.
        recipe: How it was trained.
        seed: Of the run.
        split: On what.
        gate: What the gate said.
    """

    matcher: Matcher
    config: dict[str, object]
    recipe: Recipe
    seed: int
    split: Split
    gate: GateReport


def export_bundle(trained: Trained, out: Path, clock: Clock | None = None) -> Bundle:
    """Write ``bundles/<hash>``, ``latest_bundle`` and ``users.parquet`` into a run's folder.

    A bundle that did not pass the gate is written too; its manifest says so.

    Args:
        trained: What to export.
        out: The run's folder.
        clock: For the bundle's ``created_at``.

    Returns:
        The bundle, opened and verified.
    """
    _write_users(trained.split, trained.recipe.max_history, out / "users.parquet")
    bundle = write(out / "bundles", _parts(trained), clock or SystemClock())
    write_text(out / LATEST_FILE, f"{bundle.path}\n")
    return bundle


def _parts(trained: Trained) -> BundleParts:
    split, scorer = trained.split, TorchScorer(trained.matcher)
    return BundleParts(
        model=ModelRef(name=trained.recipe.model, config=dict(trained.config)),
        weights=matcher_weights(trained.matcher),
        items=items_table(split),
        item_vectors=np.ascontiguousarray(scorer.item_vectors, np.float32),
        golden=golden_requests(scorer, split, trained.recipe.max_history, trained.seed),
        recipe=trained.recipe.name,
        recipe_settings=trained.recipe.model_dump(mode="json"),
        seed=trained.seed,
        dataset=DatasetRef(name=split.name, content_hash=split.content_hash, split=split.spec),
        user_features=_feature_values(split.user_features),
        item_net=_item_net(trained),
        metrics=_metrics(trained.gate),
        gate=trained.gate.checks,
        publishable=trained.gate.publishable,
        tables=list(scorer.tables.arrays[1:]),
    )


def _feature_values(features: EncodedFeatures | None) -> dict[str, list[str]]:
    return {} if features is None else {name: features.values[name] for name in features.names}


def _item_net(trained: Trained) -> list[ItemColumn]:
    """Return what a new item needs for a vector; nothing where the model reads no item columns."""
    features = trained.split.item_features
    if features is None or not isinstance(trained.matcher, ReadsItemFeatures):
        return []
    roles = {
        name: "numeric" if name in features.numeric else "categorical" for name in features.names
    }
    roles |= dict.fromkeys(features.multi_names, "multi_valued")
    return [
        ItemColumn.model_validate({"name": name, "role": role, "values": features.values[name]})
        for name, role in roles.items()
    ]


def _metrics(gate: GateReport) -> dict[str, float]:
    """The matcher's figures by their own names, the rivals' behind the rival's name."""
    own = dict(gate.figures["matcher"])
    for rival, figures in gate.figures.items():
        if rival != "matcher":
            own |= {f"{rival}/{name}": value for name, value in figures.items()}
    return own


def items_table(split: Split) -> pa.Table:
    """Return N rows: number, id, title, training interactions, and the items' own columns.

    The columns stay as they came, numbers as numbers: filters compare them.
    """
    columns: dict[str, object] = {
        "item_num": pa.array(np.arange(split.n_items), pa.int64()),
        "item_id": pa.array(split.items.ids(), pa.string()),
        "title": pa.nulls(split.n_items, pa.string()),
        "n_interactions": pa.array(split.item_counts(), pa.int64()),
    }
    if split.item_columns is not None:
        own = {name: split.item_columns.column(name) for name in split.item_columns.column_names}
        columns |= {name: own[name] for name in own if name not in ITEM_COLUMNS}
    return pa.table(columns)


def users_table(split: Split, max_history: int) -> pa.Table:
    """Return U rows: id, history as item ids, oldest first, and the users' own columns."""
    item_ids = np.asarray(split.items.ids(), object)
    histories = known_histories(split).tail(max_history)
    columns: dict[str, object] = {
        "user_id": pa.array(split.users.ids(), pa.string()),
        "history": pa.array([item_ids[row].tolist() for row in histories], pa.list_(pa.string())),
    }
    for name, column in _feature_columns(split.user_features).items():
        columns.setdefault(name, column)
    return pa.table(columns)


def known_histories(split: Split) -> Ragged:
    """Return U rows: everything known of each user when the test part begins.

    That is the history of the user's test query, so that serving is asked exactly what
    evaluation asks; for users without one, what was trained on plus what validation asked for.
    """
    rows = [split.train[user] for user in range(len(split.users))]
    validation = split.validation
    for query, user in enumerate(validation.user_nums.tolist()):
        rows[user] = np.concatenate([rows[user], validation.targets[query]])
    for query, user in enumerate(split.test.user_nums.tolist()):
        if len(split.test.histories[query]):
            rows[user] = split.test.histories[query]
    return Ragged.from_lists(rows)


def golden_requests(
    scorer: TorchScorer, split: Split, max_history: int, seed: int
) -> list[GoldenRequest]:
    """Ask for a few users' top items, scored exhaustively: what a loaded bundle must answer too.

    The first request is a cold start (no history, nothing known of the user); the others are
    users chosen by the seed.  Items of the history are not removed from the answer.
    """
    users = _golden_users(split.validation, len(split.users), seed)
    histories = known_histories(split).tail(max_history)
    requests = [_golden(scorer, split, np.empty(0, np.int64), None)]
    for user in users:
        codes = None if split.user_features is None else split.user_features.codes[user]
        requests.append(_golden(scorer, split, histories[user], codes))
    return requests


def _golden_users(cases: EvalCases, n_users: int, seed: int) -> list[int]:
    pool = np.unique(cases.user_nums) if len(cases.user_nums) else np.arange(n_users)
    n_chosen = min(N_GOLDEN - 1, len(pool))
    generator = numpy_generator(seed, "golden requests")
    return [int(user) for user in generator.choice(pool, n_chosen, replace=False)]


def _golden(
    scorer: TorchScorer,
    split: Split,
    history: NDArray[np.int64],
    codes: NDArray[np.int64] | None,
) -> GoldenRequest:
    state = scorer.user_state([Query(history, codes)])
    items = np.arange(scorer.n_items)
    scores = scorer.score(state, np.zeros(len(items), np.int64), items)
    top = np.lexsort((items, -scores))[:GOLDEN_K]
    return GoldenRequest(
        history=split.items.ids(history),
        user_features=_named(split.user_features, codes),
        item_ids=split.items.ids(top),
        scores=[float(score) for score in scores[top]],
    )


def _named(features: EncodedFeatures | None, codes: NDArray[np.int64] | None) -> dict[str, str]:
    """Return the known values of one user by column name."""
    if features is None or codes is None:
        return {}
    named = zip(features.names, codes.tolist(), strict=True)
    return {name: features.values[name][code - 1] for name, code in named if code > 0}


def _feature_columns(features: EncodedFeatures | None) -> dict[str, pa.Array]:
    """Return single-valued columns as strings (null = unknown), multi-valued ones as lists."""
    if features is None:
        return {}
    columns = {}
    for place, name in enumerate(features.names):
        values = np.asarray([None, *features.values[name]], object)
        columns[name] = pa.array(values[features.codes[:, place]].tolist(), pa.string())
    for name, rows in zip(features.multi_names, features.multi, strict=True):
        values = np.asarray([None, *features.values[name]], object)
        lists = [values[row[row > 0]].tolist() for row in rows]
        columns[name] = pa.array(lists, pa.list_(pa.string()))
    return columns


def _write_users(split: Split, max_history: int, path: Path) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(users_table(split, max_history), temporary)
