"""Rows whose useful fields are known, and one search of them for all tests that look at it."""

import numpy as np
import pytest

from training.razor import RazorSettings, search
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows, Ragged

SIZES = {"strong": 12, "weak": 60, "constant": 3, "noise_few": 12, "noise_many": 3_000}
LISTS = {"tags": 22, "history": 60}


def planted_schema(names=None, extra=(), dim=30):
    """Declare the fields; ``history`` shares the table of ``weak``."""
    sizes = SIZES | LISTS | dict.fromkeys(extra, 12)
    kinds = {"tags": "multi_valued", "history": "sequence"}
    fields = tuple(
        RankerField(
            spec=FieldSpec(
                name=name,
                kind=kinds.get(name, "categorical"),
                shares="weak" if name == "history" else None,
            ),
            n_codes=sizes[name],
            dim=dim,
        )
        for name in names or [*SIZES, *LISTS, *extra]
    )
    return RankingSchema(frame="planted", frame_hash="f", vocabulary_hash="v", fields=fields)


def planted_rows(n_rows=16_000, seed=0, extra=()):
    """Draw rows: ``strong``, ``weak`` and ``tags`` decide the label, the others do not."""
    rng = np.random.default_rng(seed)
    single = {name: rng.integers(2, size, n_rows).astype(np.int32) for name, size in SIZES.items()}
    single["constant"][:] = 2
    lists = {name: _lists(rng, size, n_rows) for name, size in LISTS.items()}
    for name in extra:
        single[name] = single["strong"].copy()
    strong = rng.normal(size=SIZES["strong"]) * 1.5
    weak = rng.normal(size=SIZES["weak"])
    tag = rng.normal(size=LISTS["tags"]) * 1.5
    means = [tag[tags].mean() if len(tags) else 0.0 for tags in _split(lists["tags"])]
    logits = strong[single["strong"]] + weak[single["weak"]] + np.array(means)
    labels = (rng.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return EncodedRows(single, lists, labels)


def _lists(rng, size, n_rows):
    lengths = rng.integers(0, 4, n_rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged(rng.integers(2, size, offsets[-1]).astype(np.int32), offsets)


def _split(ragged):
    return np.split(ragged.values, ragged.offsets[1:-1])


@pytest.fixture(scope="session")
def make_schema():
    return planted_schema


@pytest.fixture(scope="session")
def make_rows():
    return planted_rows


@pytest.fixture(scope="session")
def planted():
    return planted_schema(), planted_rows()


@pytest.fixture(scope="session")
def searched(planted):
    schema, rows = planted
    return search(schema, rows, RazorSettings(batch_size=128), seed=0)
