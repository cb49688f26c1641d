"""Dataset directories: content hash, whole or absent, refused when changed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from vizsla.datasets import Draft, Tables, read, read_manifest, write
from vizsla.datasets.fetching import DATASETS, manifest_of
from vizsla.datasets.hashing import content_hash
from vizsla.errors import CorruptArtifactError, IncompatibleArtifactError, NotFoundError

MANIFEST = manifest_of(DATASETS.load("gowalla"))
EVENTS = pl.DataFrame(
    {
        "user_id": ["a", "b"],
        "item_id": ["x", "y"],
        "event_timestamp": [1.0, 2.0],
        "event_type": ["click", "click"],
    }
)
ITEMS = pl.DataFrame({"item_id": ["x", "y", "z"], "tags": [["p"], [], None]})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path / "d", Draft(MANIFEST, Tables(EVENTS, ITEMS)))
    return tmp_path / "d"


def test_what_was_written_is_read(directory: Path) -> None:
    """Tables and counts come back; a table that the source lacks stays absent."""
    found = read(directory, verify=True)

    assert found.interactions.equals(EVENTS)
    assert found.items.equals(ITEMS)
    assert found.users is None
    assert (found.manifest.n_interactions, found.manifest.n_users, found.manifest.n_items) == (
        2,
        2,
        3,
    )


def test_a_changed_table_is_noticed(directory: Path) -> None:
    """With verify the content hash is computed again."""
    EVENTS.reverse().write_parquet(directory / "interactions.parquet")

    with pytest.raises(CorruptArtifactError, match="content hash differs"):
        read(directory, verify=True)


def test_a_missing_table_is_named(directory: Path) -> None:
    """The message names the file and what to do."""
    (directory / "items.parquet").unlink()

    with pytest.raises(CorruptArtifactError, match=r"items\.parquet: cannot be read.*fetch"):
        read(directory)


def test_an_unknown_format_version_is_refused(directory: Path) -> None:
    """A later version of ours is not read as if it were this one."""
    path = directory / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 9}))

    with pytest.raises(IncompatibleArtifactError, match="format version 9"):
        read_manifest(directory)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', "\xff"])
def test_a_broken_manifest_is_refused(directory: Path, text: str) -> None:
    """Whatever is wrong with it is one line."""
    (directory / "dataset.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(CorruptArtifactError, match=r"dataset\.json") as caught:
        read_manifest(directory)
    assert "\n" not in str(caught.value)


def test_no_dataset_says_what_to_run(tmp_path: Path) -> None:
    """An empty folder is no dataset."""
    with pytest.raises(NotFoundError, match="vizsla data fetch"):
        read(tmp_path)


def test_an_existing_directory_is_left_alone(directory: Path) -> None:
    """Without replace the first one stays."""
    write(directory, Draft(MANIFEST, Tables(EVENTS.head(1), ITEMS)))

    assert read(directory).interactions.height == 2


def test_replacing_leaves_no_trace_of_the_old(directory: Path) -> None:
    """With replace the new one stands there, alone."""
    write(directory, Draft(MANIFEST, Tables(EVENTS.head(1), ITEMS)), replace=True)

    assert read(directory, verify=True).interactions.height == 1
    assert [path.name for path in directory.parent.iterdir()] == ["d"]


values = st.one_of(st.none(), st.text(max_size=4))


@settings(max_examples=30)
@given(st.lists(values, max_size=8), st.lists(values, max_size=8))
def test_the_hash_tells_columns_apart(left: list[str | None], right: list[str | None]) -> None:
    """Equal hashes mean equal values, nulls and borders between strings included."""

    def hashed(rows: list[str | None]) -> str:
        return content_hash([("t", pl.DataFrame({"a": pl.Series(rows, dtype=pl.String)}))])

    assert (hashed(left) == hashed(right)) == (left == right)


def test_the_hash_ignores_chunks_and_sees_types() -> None:
    """Chunking does not matter; lists of different shape, other types and other names do."""
    lists = pl.DataFrame({"a": [["x"], ["y"]]})
    joined = pl.DataFrame({"a": [["x", "y"], []]})
    chunked = pl.concat([lists.head(1), lists.tail(1)], rechunk=False)

    assert content_hash([("t", lists)]) == content_hash([("t", chunked)])
    hashes = {
        content_hash([("t", frame)])
        for frame in (
            lists,
            joined,
            lists.rename({"a": "b"}),
            pl.DataFrame({"a": [1, 2]}),
            pl.DataFrame({"a": [1.0, 2.0]}),
            pl.DataFrame({"a": [True, False]}),
        )
    }
    assert len(hashes) == 6
