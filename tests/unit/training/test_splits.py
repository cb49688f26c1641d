"""Splits of tiny datasets that can be checked by hand, and what always holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from training.data import EvalCases, Ragged, Split
from training.splits import SplitSpec, default_spec, load_split, split
from vizsla.contracts.features import DatasetManifest
from vizsla.datasets import Dataset, Draft, Tables, write
from vizsla.errors import DataError, UsageError


def dataset(
    rows: list[tuple[str, str, float]],
    *,
    parts: str = "",
    types: list[str] | None = None,
    items: tuple[str, ...] = (),
    **manifest: object,
) -> Dataset:
    """Make a dataset of ``(user, item, time)``; ``parts`` has a letter t, v or e per row."""
    frame = pl.DataFrame(
        rows,
        schema={"user_id": pl.String, "item_id": pl.String, "event_timestamp": pl.Float64},
        orient="row",
    ).with_columns(pl.Series("event_type", types or ["click"] * len(rows)))
    if parts:
        names = {"t": "train", "v": "valid", "e": "test"}
        frame = frame.with_columns(pl.Series("split", [names[p] for p in parts]))
    fields = {"name": "tiny", "source": "", "licence": "", "order": "time", "content_hash": "h"}
    counts = {"n_interactions": len(rows), "n_users": 0, "n_items": 0}
    info = DatasetManifest.model_validate(
        {**fields, **counts, "given_split": bool(parts), **manifest}
    )
    ids = sorted({row[1] for row in rows} | set(items))
    return Dataset(info, frame, pl.DataFrame({"item_id": ids}, schema={"item_id": pl.String}), None)


def named(split_: Split, rows: Ragged) -> list[str]:
    return ["".join(split_.items.ids(row.tolist())) for row in rows]


def cases(split_: Split, found: EvalCases) -> list[tuple[str, str, str, str]]:
    return list(
        zip(
            split_.users.ids(found.user_nums.tolist()),
            named(split_, found.histories),
            named(split_, found.targets),
            named(split_, found.seen),
            strict=True,
        )
    )


def test_leave_last_out_by_hand() -> None:
    """The last item is for test, the one before for validation; two items only train."""
    rows = [("u", "c", 3.0), ("u", "a", 1.0), ("w", "b", 9.0), ("u", "d", 4.0), ("w", "a", 8.0)]

    found = split(dataset([*rows, ("u", "b", 2.0)]))

    assert named(found, found.train) == ["ab", "ab"]
    assert cases(found, found.validation) == [("u", "ab", "c", "ab")]
    assert cases(found, found.test) == [("u", "abc", "d", "abc")]


def test_ties_go_by_the_order_of_the_source() -> None:
    """Events of the same second stand as they stood in the file."""
    found = split(dataset([("u", item, 5.0) for item in "dbca"]))

    assert named(found, found.train) == ["db"]
    assert cases(found, found.test)[0][2] == "a"


def test_a_repeated_item_counts_once_where_items_do_not_repeat() -> None:
    """The first meeting stays, so that a target was never seen before."""
    rows = [("u", item, float(n)) for n, item in enumerate("abacbd")]

    once = split(dataset(rows))
    again = split(dataset(rows, repeats=True))

    assert named(once, once.train) == ["ab"]
    assert cases(once, once.test) == [("u", "abc", "d", "abc")]
    assert named(again, again.train) == ["abac"]
    assert cases(again, again.test) == [("u", "abacb", "d", "")]


def test_histories_are_the_latest_items_and_seen_is_everything() -> None:
    """A long past is cut for the model, not for what counts as seen."""
    rows = [("u", item, float(n)) for n, item in enumerate("abcdef")]

    found = split(dataset(rows), SplitSpec(max_history=2))

    assert cases(found, found.test) == [("u", "de", "f", "abcde")]


def test_time_cuts_all_users_at_once() -> None:
    """The latest fifth is for test; users without a past ask nothing."""
    rows = [("u", item, float(n)) for n, item in enumerate("abcdefgh")]
    rows += [("w", "z", 20.0), ("u", "y", 21.0)]

    found = split(dataset(rows), SplitSpec(method="time", test_ratio=0.2, validation_ratio=0.25))

    assert named(found, found.train)[0] == "abcdef"
    assert cases(found, found.validation) == [("u", "abcdef", "gh", "abcdef")]
    assert cases(found, found.test) == [("u", "abcdefgh", "y", "abcdefgh")]


def test_given_with_its_own_validation() -> None:
    """What the source says is followed to the letter."""
    rows = [("u", item, 0.0) for item in "abcd"]

    found = split(dataset(rows, parts="tvte", order="none"))

    assert named(found, found.train) == ["ac"]
    assert cases(found, found.validation) == [("u", "ac", "b", "ac")]
    (case,) = cases(found, found.test)
    assert case[2:] == ("d", "acb")


def test_given_carves_validation_from_training() -> None:
    """A tenth of each user's training items, at least one, never all; test untouched."""
    rows = [("u", f"i{n:02}", 0.0) for n in range(22)] + [("w", "i00", 0.0), ("w", "i01", 0.0)]

    found = split(dataset(rows, parts="t" * 20 + "ee" + "te", order="none"))

    assert found.train.lengths.tolist() == [18, 1]
    assert found.validation.targets.lengths.tolist() == [2]
    assert found.test.targets.lengths.tolist() == [2, 1]
    assert found.test.seen.lengths.tolist() == [20, 1]


def test_given_carves_the_latest_where_there_is_an_order() -> None:
    """A validation target is never older than what the model trains on."""
    rows = [("u", item, float(n)) for n, item in enumerate("abcde")]

    found = split(dataset(rows, parts="tttte"))

    assert named(found, found.train) == ["abc"]
    assert cases(found, found.validation) == [("u", "abc", "d", "abc")]


def test_sessions_are_held_out_whole() -> None:
    """A test session's own items ask for its last; its items are in nobody's training."""
    rows = [(f"s{u}", item, float(n)) for u in range(10) for n, item in enumerate("ab")]
    rows += [("t1", item, float(n)) for n, item in enumerate("aba")] + [("t2", "c", 0.0)]
    data = dataset(rows, parts="t" * 20 + "eeee", order="position", repeats=True)

    last = split(data)
    every = split(data, SplitSpec(method="given", held_out="users", targets="all"))

    assert default_spec(data.manifest).held_out == "users"
    assert cases(last, last.test) == [("t1", "ab", "a", "")]
    assert cases(every, every.test) == [("t1", "a", "b", ""), ("t1", "ab", "a", "")]
    assert len(last.validation.user_nums) == 1
    assert last.train[int(last.validation.user_nums[0])].size == 0
    assert last.train.lengths.sum() == 18


def test_held_out_users_without_repeats_have_seen_their_past() -> None:
    """Where items do not repeat, a session's earlier items are no candidates."""
    rows = [("s", "a", 0.0), ("s", "b", 1.0), *(("t", item, 0.0) for item in "abc")]
    spec = SplitSpec(method="given", held_out="users", max_history=1)

    found = split(dataset(rows, parts="tteee", order="position"), spec)

    assert cases(found, found.test) == [("t", "b", "c", "ab")]


def test_user_ratio_shares_by_hand() -> None:
    """Ten items: two for test, a tenth of the other eight, at least one, for validation."""
    found = split(dataset([("u", f"i{n}", 0.0) for n in range(10)], order="none"))

    assert found.spec["method"] == "user_ratio"
    assert found.train.lengths.tolist() == [7]
    assert found.validation.targets.lengths.tolist() == [1]
    assert found.test.targets.lengths.tolist() == [2]


def test_histories_without_order_are_seeded_samples() -> None:
    """At most max_history training items; the same seed draws the same, another differs."""
    data = dataset([("u", f"i{n:03}", 0.0) for n in range(200)], order="none")

    one, two = split(data), split(data)
    other = split(data, SplitSpec(method="user_ratio", seed=1))

    assert one.test.histories.lengths.tolist() == [50]
    assert one.test.histories.values.tolist() == two.test.histories.values.tolist()
    assert one.test.histories.values.tolist() != other.test.histories.values.tolist()
    assert set(one.test.histories.values) <= set(one.test.seen.values)


def test_only_positive_event_types_count() -> None:
    """What was merely shown is no interaction, unless asked for."""
    rows = [("u", item, float(n)) for n, item in enumerate("abcd")]
    data = dataset(rows, types=["click", "impression", "buy", "random_exposure"], items=("z",))

    assert named(split(data), split(data).train) == ["ac"]
    bought = split(data, SplitSpec(event_types=("buy",)))
    assert named(bought, bought.train) == ["c"]
    assert bought.items.ids() == ["a", "b", "c", "d", "z"]
    with pytest.raises(DataError, match="no positive interaction is left"):
        split(data, SplitSpec(event_types=("like",)))


def test_rare_users_and_items_can_be_left_out() -> None:
    """First rare items, then users with too little left."""
    rows = [("u", "a", 1.0), ("u", "b", 2.0), ("w", "a", 1.0), ("w", "c", 2.0)]

    found = split(dataset(rows), SplitSpec(min_item_interactions=2))
    assert named(found, found.train) == ["a", "a"]
    with pytest.raises(DataError):
        split(dataset(rows), SplitSpec(min_user_interactions=3))


@pytest.mark.parametrize(
    ("method", "order", "part"),
    [
        ("leave_last_out", "none", "orders each user|order each user"),
        ("time", "position", "order all events"),
        ("given", "time", "no column 'split'"),
    ],
)
def test_a_method_needs_the_order_it_uses(method: str, order: str, part: str) -> None:
    """The message says what the data lacks."""
    data = dataset([("u", "a", 1.0)], order=order)

    with pytest.raises(UsageError, match=part):
        split(data, SplitSpec.model_validate({"method": method}))


def test_an_unknown_word_in_the_column_split() -> None:
    """The message names the word and the allowed ones."""
    data = dataset([("u", "a", 1.0)], parts="t")
    wrong = Dataset(
        data.manifest, data.interactions.with_columns(split=pl.lit("dev")), data.items, None
    )

    with pytest.raises(DataError, match="'dev' in 1 rows; allowed: train"):
        split(wrong)


def test_a_dataset_directory_is_split(tmp_path: Path) -> None:
    """The split remembers the dataset, its hash and how it was cut."""
    data = dataset([("u", item, float(n)) for n, item in enumerate("abcd")])
    items = data.items.with_columns(pl.col("item_id").str.to_uppercase().alias("title"))
    manifest = write(tmp_path / "d", Draft(data.manifest, Tables(data.interactions, items)))

    found = load_split(tmp_path / "d")

    assert found.content_hash == manifest.content_hash
    assert SplitSpec.model_validate(found.spec) == default_spec(manifest)
    assert found.item_columns.column("title")[found.items.num("a")].as_py() == "A"
    assert found.item_counts().tolist() == [1, 1, 0, 0]


events = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdefgh"), st.integers(0, 9).map(float)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(rows=events)
def test_leave_last_out_never_leaks(rows: list[tuple[str, str, float]]) -> None:
    """Train, validation and test part a user's items, in the order of time."""
    found = split(dataset(rows), SplitSpec(max_history=3))
    last = {u: [r for r in rows if r[0] == u] for u in "uvw"}

    for case, user in enumerate(found.test.user_nums):
        train, target = found.train[user], found.test.targets[case]
        held = found.validation.targets[case]
        seen = found.test.seen[case]
        assert seen.tolist() == [*train, *held]
        assert target[0] not in seen
        assert found.test.histories[case].tolist() == seen[-3:].tolist()
        assert found.validation.histories[case].tolist() == train[-3:].tolist()
        assert len(train) + 2 == len({r[1] for r in last[found.users.id(int(user))]})
    assert found.validation.user_nums.tolist() == found.test.user_nums.tolist()


@settings(max_examples=40, deadline=None)
@given(rows=events, seed=st.integers(0, 3), method=st.sampled_from(["user_ratio", "time"]))
def test_no_split_lets_a_target_leak(
    rows: list[tuple[str, str, float]], seed: int, method: str
) -> None:
    """Targets are never in training, history or seen; nothing is invented."""
    spec = SplitSpec.model_validate({"method": method, "seed": seed, "max_history": 4})
    found = split(dataset(rows), spec)
    pairs = {(u, i) for u, i, _ in rows}

    for part in (found.validation, found.test):
        for user, history, targets, seen in cases(found, part):
            assert targets
            assert not set(targets) & (set(history) | set(seen))
            assert not set(targets) & set(named(found, found.train)[found.users.num(user)])
            assert {(user, item) for item in targets + seen} <= pairs
            assert 1 <= len(history) <= 4


@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6), size=st.integers(1, 4))
def test_ragged_rows_behave_like_lists(rows: list[list[int]], size: int) -> None:
    """Tails, choices and groups agree with the same done on lists."""
    ragged = Ragged.from_lists(rows)
    order = np.arange(len(rows))[::-1]
    row_of = np.repeat(np.arange(len(rows)), ragged.lengths)

    assert [row.tolist() for row in ragged.tail(size)] == [row[-size:] for row in rows]
    assert [row.tolist() for row in ragged.take(order)] == rows[::-1]
    again = Ragged.from_groups(row_of, ragged.values, len(rows))
    assert [row.tolist() for row in again] == rows
    assert Ragged.empty(3).lengths.tolist() == [0, 0, 0]
