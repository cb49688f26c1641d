"""Files are complete or absent."""

import hashlib

import pytest
from hypothesis import given, strategies as st

from vizsla.files import atomic_directory, atomic_path, file_name_of, sha256_file, write_text


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


@given(ids=st.sets(st.text(max_size=256), min_size=2, max_size=20))
def test_any_identifier_names_a_file(tmp_path_factory, ids):
    """Whatever an identifier holds, it names one file in the folder, and no two the same."""
    folder = tmp_path_factory.mktemp("named")
    for id_ in ids:
        (folder / f"item-{file_name_of(id_)}.png").write_text("")

    assert len(names(folder)) == len(ids)


@pytest.mark.parametrize(
    ("id_", "start"),
    [("50", "50"), ("a/b", "a_b-"), ("..", "_-"), ("", "-"), ("x" * 300, "x" * 50)],
)
def test_an_identifier_stays_readable(id_, start):
    """A safe identifier is its own name; another one is recognised."""
    assert file_name_of(id_).startswith(start)
    assert (file_name_of(id_) == id_) == (id_ == "50")
