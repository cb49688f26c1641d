"""Files are complete or absent."""

import hashlib

import pytest
from hypothesis import given, strategies as st

from vizsla.files import atomic_directory, atomic_path, sha256_file, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    """Missing folders are made, and nothing else is left behind."""
    write_text(tmp_path / "a" / "b.txt", "ä")

    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "ä"
    assert names(tmp_path / "a") == ["b.txt"]


def fail_in(context):
    with context as place:
        (place / "x" if place.is_dir() else place).write_text("half")
        raise OSError("disk full")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Readers never see the half."""
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        fail_in(atomic_path(target))

    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failed_directory_leaves_nothing(tmp_path):
    """No half directory under any name."""
    with pytest.raises(OSError, match="disk full"):
        fail_in(atomic_directory(tmp_path / "d"))

    assert names(tmp_path) == []


def test_a_directory_that_is_already_there_stays(tmp_path):
    """Whoever was first wrote the same bytes."""
    for text in ("first", "second"):
        with atomic_directory(tmp_path / "d") as folder:
            (folder / "x").write_text(text)

    assert (tmp_path / "d" / "x").read_text() == "first"
    assert names(tmp_path) == ["d"]


@given(st.binary(max_size=300))
def test_the_hash_is_of_the_content(tmp_path_factory, content):
    """The same as hashing it in memory."""
    path = tmp_path_factory.mktemp("f") / "x"
    path.write_bytes(content)

    assert sha256_file(path) == hashlib.sha256(content).hexdigest()
