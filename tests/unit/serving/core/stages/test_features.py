"""From ids to numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.core.job import Ask, Job, Visitor
from serving.core.protocols import Engine
from serving.core.stages.features import Features
from vizsla.user_features import encode_features


def visitor(engine: Engine, users: Any, job: Job, ask: Ask, **changes: Any) -> Visitor:
    done = Features(engine, users).run(replace(job, asks=(ask,), **changes), 1.0)
    return done.visitors[0]


def test_known_user_has_the_stored_history(engine: Engine, users: Any, job: Job) -> None:
    """A known user's history becomes item numbers, and the answer is personal."""
    found = visitor(engine, users, job, Ask(user_id="anna"))

    assert found.query.history.tolist() == [0, 1]
    assert found.cold is None


def test_sent_history_keeps_order_and_drops_unknown(engine: Engine, users: Any, job: Job) -> None:
    """Unknown items are left out of the history and named once."""
    found = visitor(engine, users, job, Ask(history=("d", "x", "a", "x", "y")))

    assert found.query.history.tolist() == [3, 0]
    assert [(w.code, w.names) for w in found.warnings] == [("unknown_items", ["x", "y"])]


def test_stored_history_of_a_renewed_catalogue_gives_no_warning(
    engine: Engine, users: Any, job: Job
) -> None:
    """Items that only our own store names are not the caller's to correct."""
    assert visitor(engine, users, job, Ask(user_id="eve")).warnings == ()


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (Ask(user_id="nobody"), "unknown_user"),
        (Ask(user_id="ben"), "empty_history"),
        (Ask(user_id="eve"), "unknown_items"),
        (Ask(history=("x",)), "unknown_items"),
        (Ask(), "anonymous"),
    ],
)
def test_cold_start_has_a_reason(
    engine: Engine, users: Any, job: Job, ask: Ask, reason: str
) -> None:
    """Every way of having no usable history is told apart."""
    found = visitor(engine, users, job, ask)

    assert found.cold is not None
    assert (found.cold.reason, found.cold.source) == (reason, "popularity")


@pytest.mark.parametrize(
    ("ask", "codes", "source"),
    [
        (Ask(user_id="ben"), [2], "context"),
        (Ask(user_id="ben", features={"sex": "F"}), [1], "context"),
        (Ask(features={"sex": "F"}), [1], "context"),
        (Ask(features={"sex": "?"}), [0], "popularity"),
        (Ask(user_id="nobody"), [0], "popularity"),
    ],
)
def test_known_features_make_a_context(
    engine_with_features: Engine, users: Any, job: Job, ask: Ask, codes: list[int], source: str
) -> None:
    """A user without history but with a feature the model knows is searched by it."""
    found = visitor(engine_with_features, users, job, ask)

    assert found.query.user_features is not None
    assert found.query.user_features.tolist() == codes
    assert found.cold is not None
    assert found.cold.source == source


def test_unknown_features_are_named(engine_with_features: Engine, users: Any, job: Job) -> None:
    """A feature or value that the model does not know is ignored and named."""
    ask = Ask(user_id="anna", features={"age": "7", "sex": "?"})
    found = visitor(engine_with_features, users, job, ask)

    assert [(w.code, w.names) for w in found.warnings] == [("unknown_features", ["age", "sex"])]


@pytest.mark.parametrize(("exclude_seen", "expected"), [(False, [2]), (True, [0, 1, 2])])
def test_seen_items_are_excluded_when_asked(
    engine: Engine, users: Any, job: Job, exclude_seen: bool, expected: list[int]
) -> None:
    """The excluded are ascending item numbers, each once, unknown ones left out."""
    ask = Ask(user_id="anna", exclude=("c", "zz", "c"))

    assert visitor(engine, users, job, ask, exclude_seen=exclude_seen).excluded.tolist() == expected


def test_fallback_does_not_ask_the_store(engine: Engine, users: Any, job: Job) -> None:
    """Without the store a known user is answered like an unknown one, a sent history counts."""
    users.rows = None
    stage = Features(engine, users)
    known, sent = stage.fall_back(
        replace(job, asks=(Ask(user_id="anna"), Ask(history=("c",))))
    ).visitors

    assert known.cold is not None
    assert sent.query.history.tolist() == [2]


@pytest.mark.parametrize(
    ("value", "code"),
    [("18.9", 1), ("19", 2), ("1e9", 3), ("nan", 0), ("old", 0), ("[19, 30)", 2), ("", 0)],
)
def test_numbers_are_looked_up_in_buckets(value: str, code: int) -> None:
    """A client sends a number; the bundle knows half-open buckets."""
    buckets = {"age": ["[-inf, 19)", "[19, 30)", "[30, inf)"]}

    assert encode_features(buckets, {"age": value}) == [code]


def test_no_columns_no_codes() -> None:
    """A model without side features gets none."""
    assert encode_features({}, {"sex": "F"}) is None
