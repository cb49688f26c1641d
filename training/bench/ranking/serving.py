"""What one request of 500 candidates costs, served plainly and as ``/v1/rank`` serves it.

Plainly: 500 rows are encoded and go through ``Ranker``, as training does it, twice: the rows as
records of a request, and as a table with the items' columns joined, which is faster to encode.
The faster of the two is what speed-ups are measured against.  Every method answers the same
requests in an order drawn anew for each, so that a busy machine or cache slows them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from training.bench.form import Row, Target
from training.ctr.metrics import auc
from vizsla.blas import one_blas_thread
from vizsla.bundles.attach import narrow_weights
from vizsla.bundles.ranker import ExportedRanker
from vizsla.contracts.tables import TableDtype
from vizsla.fields import FieldEncoders
from vizsla.models.ranker import RANKERS, Ranker, to_inputs
from vizsla.models.ranker.runtime import ItemStore, RankerRuntime
from vizsla.models.ranker.sides import item_fields, user_fields
from vizsla.rng import numpy_generator

__all__ = ["COLUMNS", "Requests", "draw_requests", "serving_rows", "serving_targets"]

COLUMNS = (
    "ranker",
    "method",
    "storage",
    "ms_median",
    "ms_p95",
    "speedup",
    "table_bytes",
    "bytes_held",
    "memory_ratio",
    "max_logit_change",
    "auc",
)
TOLERANCE = 1e-5
SPEEDUP = 3.0
WARM_UPS = 5
DTYPES: tuple[TableDtype, ...] = get_args(TableDtype)

Floats = NDArray[np.float32]
Answer = Callable[[int], Floats]
_PLAIN = ("plain, records", "plain, table")


class Way(NamedTuple):
    """A ranker, how it is served, and how its tables are stored."""

    ranker: str
    method: str
    storage: str = "float32"


@dataclass(frozen=True)
class Requests:
    """What is asked, with what is known of the items.

    Attributes:
        items: ``N`` rows: the item fields of the catalogue.
        users: One record of user and context fields per request.
        candidates: Per request, ``(C,)`` rows of ``items``.
    """

    items: pl.DataFrame
    users: Sequence[Mapping[str, Any]]
    candidates: Sequence[NDArray[np.int64]]


def draw_requests(
    rows: pl.DataFrame,
    item_columns: Sequence[str],
    *,
    n_requests: int = 200,
    n_candidates: int = 500,
    seed: int = 0,
) -> Requests:
    """Draw users and moments from rows of a frame, and candidates from its items.

    Args:
        rows: Of one split; ``item_id`` tells items apart.
        item_columns: Fields that are the item's; of each item its last row's.
        n_requests: To draw.
        n_candidates: Per request.
        seed: Of the draw.
    """
    draws = numpy_generator(seed, "ranking requests")
    items = rows.unique("item_id", keep="last", maintain_order=True).select(item_columns)
    chosen = draws.integers(0, rows.height, n_requests)
    users = rows.drop([*item_columns, "label"], strict=False)[chosen.tolist()].to_dicts()
    candidates = [draws.integers(0, items.height, n_candidates) for _ in range(n_requests)]
    return Requests(items, users, candidates)


def serving_rows(
    full: ExportedRanker,
    pruned: ExportedRanker,
    requests: Requests,
    test: pl.DataFrame | None = None,
) -> list[Row]:
    """Measure all ways of serving two rankers of the same frame.

    Args:
        full: Without pruning; served plainly it is the baseline.
        pruned: What is to be served.
        requests: The same for all.
        test: Labelled rows for the AUC of each storage; None leaves it out.
    """
    one_blas_thread()
    rankers = {"full": full, "pruned": pruned}
    answers: dict[Way, Answer] = {}
    held: dict[Way, _Served] = {}
    for name, ranker in rankers.items():
        answers[Way(name, _PLAIN[0])] = _plain(ranker, requests, as_table=False)
        answers[Way(name, _PLAIN[1])] = _plain(ranker, requests, as_table=True)
        for dtype in DTYPES:
            way = Way(name, "served", dtype)
            held[way] = _Served.of(ranker, requests, dtype)
            answers[way] = held[way].answer
    times, found = _in_turn(answers, len(requests.users))
    plain_ms = min(float(np.median(times[Way("full", method)])) for method in _PLAIN)
    return [
        {
            **way._asdict(),
            **_timing(times[way], plain_ms),
            **_size(held.get(way), rankers[way.ranker], full),
            **_change(found[way], found[Way(way.ranker, _PLAIN[0])]),
            "auc": held[way].auc(test) if way in held and test is not None else None,
        }
        for way in answers
    ]


def _timing(spent_ms: list[float], plain_ms: float) -> Row:
    median = float(np.median(spent_ms))
    return {
        "ms_median": round(median, 3),
        "ms_p95": round(float(np.percentile(spent_ms, 95)), 3),
        "speedup": round(plain_ms / median, 2),
    }


def _size(held: _Served | None, ranker: ExportedRanker, full: ExportedRanker) -> Row:
    tables = held.runtime.tables.n_bytes if held else _bytes(ranker)
    total = held.n_bytes if held else tables
    ratio = round(_bytes(full) / total, 2)
    return {"table_bytes": tables, "bytes_held": total, "memory_ratio": ratio}


def _change(logits: Floats, exact: Floats) -> Row:
    """Return the largest change of a logit, and what the logits spread over."""
    return {
        "max_logit_change": float(np.abs(logits - exact).max()),
        "spread": float(exact.std()),
    }


def serving_targets(rows: Sequence[Row]) -> list[Target]:
    """Return the targets: speed of the pruned ranker as served, and equal answers."""
    best = next(
        row
        for row in rows
        if (row["ranker"], row["method"], row["storage"]) == ("pruned", "served", "float32")
    )
    change = best["max_logit_change"] / max(best["spread"], 1e-12)
    return [
        Target.of("speed-up over the full ranker served plainly", best["speedup"], ">=", SPEEDUP),
        Target.of("largest change of a logit, in spreads", change, "<=", TOLERANCE),
    ]


@dataclass(frozen=True)
class _Served:
    """A ranker as the server holds it."""

    ranker: ExportedRanker
    requests: Requests
    runtime: RankerRuntime
    store: ItemStore
    users: FieldEncoders

    @classmethod
    def of(cls, ranker: ExportedRanker, requests: Requests, dtype: TableDtype) -> _Served:
        """Open it with tables and items' side stored as a type."""
        model, schema = ranker.manifest.model, ranker.schema
        weights = narrow_weights(ranker.weights(), dtype)
        runtime = RankerRuntime(schema, model.name, model.config, weights)
        encoders = ranker.encoders.keep([one.spec.name for one in item_fields(schema)])
        pieces = (encoders.encode(piece) for piece in requests.items.iter_slices(65_536))
        users = ranker.encoders.keep([one.spec.name for one in user_fields(schema)])
        return cls(ranker, requests, runtime, runtime.store(pieces, dtype), users)

    @property
    def n_bytes(self) -> int:
        """Bytes of tables and of the items' side."""
        return self.runtime.tables.n_bytes + self.store.n_bytes

    def answer(self, request: int) -> Floats:
        """Answer one request from its user record on."""
        row = self.users.encode_records([self.requests.users[request]])
        side = self.runtime.user(row)
        return self.runtime.logits(side, self.store.take(self.requests.candidates[request]))

    def auc(self, test: pl.DataFrame) -> float:
        """Return the AUC on labelled rows, items taken as the narrow store has them."""
        names = [one.spec.name for one in item_fields(self.runtime.schema)]
        items = self.ranker.encoders.keep(names).encode(test)
        side = self.runtime.store([items], self.store.dtype)
        users = self.users.encode(test)
        logits = np.empty(test.height, np.float32)
        for row in range(test.height):
            place = np.array([row])
            logits[row] = self.runtime.logits(
                self.runtime.user(users.take(place)), side.take(place)
            )[0]
        return round(auc(test["label"].to_numpy(), logits), 5)


def _plain(ranker: ExportedRanker, requests: Requests, *, as_table: bool) -> Answer:
    """Return the way without a runtime: whole rows, encoded and looked up each time."""
    schema, encoders, module = ranker.schema, ranker.encoders, _module(ranker)
    records = requests.items.to_dicts()

    @torch.inference_mode()
    def answer(request: int) -> Floats:
        user, candidates = requests.users[request], requests.candidates[request]
        if as_table:
            own = [
                pl.Series(name, [value]).new_from_index(0, len(candidates))
                for name, value in user.items()
            ]
            rows = encoders.encode(requests.items[candidates].hstack(own))
        else:
            rows = encoders.encode_records(
                [{**records[one], **user} for one in candidates.tolist()]
            )
        logits: Floats = module(to_inputs(schema, rows)).numpy()
        return logits

    return answer


def _in_turn(
    answers: Mapping[Way, Answer], n_requests: int
) -> tuple[dict[Way, list[float]], dict[Way, Floats]]:
    """Answer every request by every method; return milliseconds and all logits of each."""
    times: dict[Way, list[float]] = {key: [] for key in answers}
    found: dict[Way, list[Floats]] = {key: [] for key in answers}
    order, ways = numpy_generator(n_requests, "order of methods"), list(answers)
    for request in _with_warm_ups(n_requests):
        for place in order.permutation(len(ways)).tolist():
            key = ways[place]
            started_s = time.perf_counter()
            logits = answers[key](max(request, 0))
            if request >= 0:
                times[key].append(1e3 * (time.perf_counter() - started_s))
                found[key].append(logits)
    return times, {key: np.concatenate(logits) for key, logits in found.items()}


def _with_warm_ups(n_requests: int) -> Iterator[int]:
    yield from [-1] * WARM_UPS
    yield from range(n_requests)


def _module(ranker: ExportedRanker) -> Ranker:
    model = ranker.manifest.model
    kind = RANKERS.load(model.name)
    made = Ranker(
        ranker.schema, kind(ranker.schema, kind.config_class.model_validate(model.config))
    )
    tensors = {name: torch.from_numpy(np.array(one)) for name, one in ranker.weights().items()}
    made.load_state_dict(tensors)
    return made.eval()


def _bytes(ranker: ExportedRanker) -> int:
    return sum(
        one.nbytes for name, one in ranker.weights().items() if name.startswith("embeddings.")
    )
