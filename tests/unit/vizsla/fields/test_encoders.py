"""Values to codes: the same from tables and requests, whatever the chunks and the order of rows."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import (
    BucketEncoding,
    FieldSpec,
    HashEncoding,
    LogEncoding,
    VocabularyEncoding,
)
from vizsla.errors import (
    CorruptArtifactError,
    DataError,
    IncompatibleArtifactError,
    InvalidRequestError,
    NotFoundError,
    UsageError,
)
from vizsla.fields import FieldEncoders

FIELDS = [
    FieldSpec(name="user"),
    FieldSpec(name="item", encoding=VocabularyEncoding(min_count=2)),
    FieldSpec(name="seen", kind="sequence", shares="item", max_length=2),
    FieldSpec(name="tags", kind="multi_valued", encoding=HashEncoding(n_buckets=5), max_length=3),
    FieldSpec(name="price", kind="numeric", encoding=BucketEncoding(n_buckets=3)),
    FieldSpec(name="clicks", kind="numeric", encoding=LogEncoding(n_buckets=8)),
]
SCHEMA = {
    "user": pl.String,
    "item": pl.String,
    "seen": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "price": pl.Float64,
    "clicks": pl.Int64,
}
WORDS = st.sampled_from(["", "a", "b", "c", "é", "a|b", "1"]) | st.none()
LISTS = st.lists(WORDS, max_size=4) | st.none()
ROWS = st.fixed_dictionaries(
    {
        "user": WORDS,
        "item": WORDS,
        "seen": LISTS,
        "tags": LISTS,
        "price": st.none() | st.floats(allow_subnormal=False, width=32),
        "clicks": st.none() | st.integers(-(10**12), 10**12),
    }
)


def table_of(rows):
    return pl.DataFrame(rows, schema=SCHEMA)


def columns_of(rows):
    """Return everything that rows hold, as plain values."""
    lists = {name: (one.values.tolist(), one.offsets.tolist()) for name, one in rows.lists.items()}
    return {name: codes.tolist() for name, codes in rows.single.items()} | lists


@given(st.lists(ROWS, min_size=1, max_size=12), st.lists(ROWS, max_size=5))
@settings(max_examples=40, deadline=None)  # the first call compiles
def test_codes_are_in_range_and_requests_get_those_of_tables(trained, asked):
    """Every code has a row in the field's table, and JSON objects are coded as a table is."""
    encoders = FieldEncoders.fit(FIELDS, [table_of(trained)])

    rows = encoders.encode(table_of(trained + asked))
    for name, codes in [*rows.single.items(), *((n, one.values) for n, one in rows.lists.items())]:
        assert ((codes >= 0) & (codes < encoders.n_codes(name))).all()
    assert columns_of(encoders.encode_records(trained + asked)) == columns_of(rows)


@given(st.lists(ROWS, min_size=1, max_size=12), st.data())
@settings(max_examples=40, deadline=None)  # the first call compiles
def test_neither_chunks_nor_the_order_of_rows_matter(rows, data):
    """However training rows come, the codes are the same; a permuted table gives permuted codes."""
    cut = data.draw(st.integers(0, len(rows)))
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    whole, table = FieldEncoders.fit(FIELDS, [table_of(rows)]), table_of(rows)
    chunks = [table[order.tolist()][:cut], table[order.tolist()][cut:]]
    cut_up = FieldEncoders.fit(FIELDS, chunks)

    assert cut_up.content_hash == whole.content_hash
    permuted = cut_up.encode(table[order.tolist()])
    assert columns_of(permuted) == columns_of(whole.encode(table).take(order))


def fitted(values, encoding=None, kind="categorical", dtype=None):
    encoding = encoding or VocabularyEncoding()
    field = FieldSpec(name="x", kind=kind, encoding=encoding)
    return FieldEncoders.fit([field], [pl.DataFrame({"x": pl.Series(values, dtype=dtype)})])


def codes_of(encoders, values, dtype=None):
    return encoders.encode(pl.DataFrame({"x": pl.Series(values, dtype=dtype)})).single["x"].tolist()


def test_a_vocabulary_has_frequent_values_first_and_ties_by_value():
    """Missing is 0, what was not seen is 1, known values follow."""
    encoders = fitted(["b", "a", "c", "c", None, ""])

    assert codes_of(encoders, ["c", "a", "b", "x", "", None]) == [2, 3, 4, 1, 0, 0]
    assert encoders.vocabulary("x").to_list() == ["c", "a", "b"]


def test_rare_values_and_those_beyond_the_most_frequent_are_unknown():
    """Both limits hold together."""
    encoding = VocabularyEncoding(min_count=2, max_values=1)
    encoders = fitted(["b", "b", "a", "a", "c"], encoding)

    assert codes_of(encoders, ["a", "b", "c"]) == [2, 1, 1]
    assert encoders.n_codes("x") == 3


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], pl.Int64),
        ([1.0, 2.0], pl.Float32),
        (["1", "2"], pl.Categorical),
        ([1, 2], pl.UInt8),
    ],
)
def test_one_value_in_several_types_is_one_value(values, dtype):
    """A whole float is the integer, and both are their text."""
    encoders = fitted(["1", "1", "2"])

    assert codes_of(encoders, values, dtype) == [2, 3]


def test_numbers_that_are_not_whole_and_truth_are_text_too():
    """As Python and JSON write them."""
    encoders = fitted([1e-7, 0.1, 0.1])

    assert codes_of(encoders, ["0.1", "1e-07"]) == [2, 3]
    assert encoders.encode_one({"x": 0.1}).single["x"].tolist() == [2]
    truth = fitted([True, True, False])
    assert codes_of(truth, ["true", "false"]) == [2, 3]
    assert truth.encode_records([{"x": False}]).single["x"].tolist() == [3]


def test_hashes_are_the_same_for_ever():
    """Golden codes: a change of the hash would give trained tables other meanings."""
    encoders = fitted([], HashEncoding(n_buckets=1000), dtype=pl.String)

    assert codes_of(encoders, ["a", "b", "é", "", None]) == [317, 706, 45, 0, 0]
    assert encoders.n_codes("x") == 1002
    other = fitted([], HashEncoding(n_buckets=1000, seed=1), dtype=pl.String)
    assert codes_of(other, ["a", "b"]) != [317, 706]


def test_buckets_have_equal_counts_and_ties_give_fewer():
    """100 numbers in four buckets; a value that is nine tenths of all is a bucket of its own."""
    even = fitted(list(range(100)), BucketEncoding(n_buckets=4), "numeric")
    heavy = fitted([0] * 90 + list(range(1, 11)), BucketEncoding(n_buckets=4), "numeric")

    assert np.bincount(codes_of(even, list(range(100))))[2:].tolist() == [25, 25, 25, 25]
    assert heavy.n_codes("x") == 4
    assert codes_of(heavy, [-5.0, 0.0, 1.0, 99.0, None, float("nan")]) == [2, 2, 3, 3, 0, 0]


def test_log_buckets_grow_with_size_and_keep_the_sign():
    """``floor(2 log(1 + |x|))`` around the middle bucket, cut at both ends."""
    encoders = fitted([], LogEncoding(steps=2, n_buckets=8), "numeric", pl.Float64)

    middle = 2 + 4
    assert codes_of(encoders, [0, 1, -1, 5, 1e30, -1e30, None], pl.Float64) == [
        middle,
        middle + 1,
        middle - 1,
        middle + 3,
        9,
        2,
        0,
    ]


def test_lists_lose_what_is_missing_and_then_what_is_too_much():
    """Sets keep the first values, sequences the last; what is unknown stays."""
    rows = {"item": "a", "seen": ["a", None, "new", ""], "tags": ["t", None, "t", "u", "v"]}
    encoders = FieldEncoders.fit(FIELDS, [pl.DataFrame([rows, rows], schema_overrides=SCHEMA)])
    found = encoders.encode_one(rows)

    assert found.lists["seen"].values.tolist() == [2, 1]
    assert found.lists["tags"].lengths.tolist() == [3]
    assert found.lists["tags"].values[0] == found.lists["tags"].values[1]


def test_columns_that_are_not_there_are_missing_everywhere():
    """A field that is not sent has code 0 or an empty list; labels and weights are taken along."""
    encoders = FieldEncoders.fit(FIELDS, [table_of([])])
    rows = encoders.encode(pl.DataFrame({"label": [1, 0], "weight": [0.5, 2.0]}))

    assert all(codes.tolist() == [0, 0] for codes in rows.single.values())
    assert all(one.lengths.tolist() == [0, 0] for one in rows.lists.values())
    assert rows.labels.tolist() == [1, 0]
    assert rows.weights.tolist() == [0.5, 2.0]


def test_a_column_without_any_value_makes_every_value_unknown():
    """Text or number: a table of two rows."""
    assert codes_of(fitted([None, None], dtype=pl.String), ["a", None]) == [1, 0]
    numbers = fitted([None], BucketEncoding(), "numeric", pl.Float64)
    assert codes_of(numbers, [3.0, None]) == [1, 0]
    assert numbers.n_codes("x") == 2


@pytest.mark.parametrize(
    ("name", "column", "needed"),
    [
        ("user", [["a"]], "text or numbers are needed"),
        ("tags", ["a"], "lists are needed"),
        ("price", ["12"], "numbers are needed"),
        ("tags", [[["a"]]], "text or numbers are needed"),
    ],
)
def test_a_column_of_the_wrong_type_is_named(name, column, needed):
    """While fitting and while encoding."""
    table = pl.DataFrame({name: column})
    encoders = FieldEncoders.fit(FIELDS, [table_of([])])

    with pytest.raises(DataError, match=f"'{name}'.*{needed}"):
        encoders.encode(table)


def test_a_request_of_the_wrong_type_lists_every_wrong_value():
    """With a pointer to the row and the field."""
    encoders = FieldEncoders.fit(FIELDS, [table_of([])])
    asked = [{"user": "a"}, {"user": ["a"], "price": "12", "tags": "t"}]

    with pytest.raises(InvalidRequestError, match=r"/1/user: list; text or a number") as refused:
        encoders.encode_records(asked)
    pointers = [one.pointer for one in refused.value.problems]
    assert pointers == ["/1/user", "/1/tags", "/1/price"]


def test_what_is_saved_is_what_is_loaded(tmp_path):
    """Codes and hash; the part that some fields need keeps both."""
    rows = [
        {"user": w, "item": w, "price": p, "seen": [w]}
        for w, p in zip("abab", range(4), strict=True)
    ]
    table = pl.DataFrame(rows, schema_overrides={"price": pl.Float64})
    encoders = FieldEncoders.fit(FIELDS, [table])
    encoders.save(tmp_path / "all")
    encoders.keep(["seen", "price"]).save(tmp_path / "some")

    loaded, some = FieldEncoders.load(tmp_path / "all"), FieldEncoders.load(tmp_path / "some")
    assert columns_of(loaded.encode(table)) == columns_of(encoders.encode(table))
    assert loaded.content_hash == some.content_hash == encoders.content_hash
    assert [field.name for field in some.fields] == ["seen", "price"]
    assert columns_of(some.encode(table)).items() <= columns_of(encoders.encode(table)).items()


def test_what_decides_codes_changes_the_hash():
    """A value, its rank, an edge, a declaration."""
    hashes = {
        fitted(["a"]).content_hash,
        fitted(["b"]).content_hash,
        fitted(["a", "b", "b"]).content_hash,
        fitted(["a", "a", "b"]).content_hash,
        fitted(["a"], VocabularyEncoding(max_values=5)).content_hash,
        fitted([1, 2], BucketEncoding(), "numeric").content_hash,
        fitted([2, 3], BucketEncoding(), "numeric").content_hash,
    }

    assert len(hashes) == 7


def test_broken_files_are_refused(tmp_path):
    """Another version, another vocabulary, a missing file: one line that names the file."""
    folder = tmp_path / "encoders"
    with pytest.raises(NotFoundError, match=r"fields\.json is missing"):
        FieldEncoders.load(folder)
    fitted(["a", "b"]).save(folder)
    path = folder / "vocabulary-000.parquet"
    kept = path.read_bytes()

    pl.DataFrame({"value": ["a", "c"]}).write_parquet(path)
    with pytest.raises(CorruptArtifactError, match="'x' are not those written"):
        FieldEncoders.load(folder)
    pl.DataFrame({"value": ["a"]}).write_parquet(path)
    with pytest.raises(CorruptArtifactError, match="1 values, 2 expected"):
        FieldEncoders.load(folder)
    path.unlink()
    with pytest.raises(CorruptArtifactError, match=r"vocabulary-000\.parquet: cannot be read"):
        FieldEncoders.load(folder)
    path.write_bytes(kept)
    manifest = json.loads((folder / "fields.json").read_text())
    (folder / "fields.json").write_text(json.dumps({**manifest, "format_version": 9}))
    with pytest.raises(IncompatibleArtifactError, match="version 9"):
        FieldEncoders.load(folder)
    (folder / "fields.json").write_text(json.dumps({**manifest, "encoders": {}}))
    with pytest.raises(CorruptArtifactError, match="'x' has no encoder"):
        FieldEncoders.load(folder)


def test_a_schema_has_a_width_for_every_field():
    """One for all or one for each; what is not named is dropped, what is not there refused."""
    encoders = FieldEncoders.fit(FIELDS, [table_of([])])
    frame = TrainingFrame(
        name="f",
        source="s",
        licence="l",
        label_rule="r",
        fields=FIELDS,
        splits={},
        content_hash="h",
    )

    assert [one.dim for one in encoders.schema(frame, 4).fields] == [4] * 6
    some = encoders.schema(frame, {"user": 8, "price": 2})
    assert [one.spec.name for one in some.kept] == ["user", "price"]
    assert some.vocabulary_hash == encoders.content_hash
    with pytest.raises(UsageError, match="no field 'colour'; known: user"):
        encoders.schema(frame, {"colour": 1})
