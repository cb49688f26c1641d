"""Users from a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.adapters.user_histories import NoUsers, default_users_file, open_histories
from serving.core.protocols import UserRow
from vizsla.errors import DataError

HISTORIES = [["b", "a"], [], None]


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path / "users.parquet")
    return path / "users.parquet"


def test_rows_are_found_with_their_features(tmp_path: Path) -> None:
    """History and string columns of a user come back; a null is no feature."""
    path = write(
        tmp_path, user_id=["u", "v", "w"], history=HISTORIES, sex=["F", None, "M"], n=[1, 2, 3]
    )
    users = open_histories(path)

    assert [users.find(name) for name in "uvwx"] == [
        UserRow(("b", "a"), {"sex": "F"}),
        UserRow((), {}),
        UserRow((), {"sex": "M"}),
        None,
    ]
    assert len(users) == 3


def test_large_and_dictionary_strings_are_strings(tmp_path: Path) -> None:
    """What other writers make of strings is read as strings."""
    path = write(
        tmp_path,
        user_id=pa.array(["u"], pa.large_string()),
        history=pa.array([["a"]], pa.large_list(pa.large_string())),
        sex=pa.array(["F"]).dictionary_encode(),
    )

    assert open_histories(path).find("u") == UserRow(("a",), {"sex": "F"})


def test_no_file_means_no_users() -> None:
    """Without a file every user is unknown."""
    users = open_histories(None)

    assert isinstance(users, NoUsers)
    assert (users.find("u"), len(users)) == (None, 0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": ["u"]}, "no column 'history'"),
        ({"history": [["a"]]}, "no column 'user_id'"),
        ({"user_id": ["u"], "history": ["a"]}, "must hold lists"),
        ({"user_id": ["u", "u"], "history": [["a"], ["b"]]}, "occurs twice"),
        ({"user_id": [1], "history": [["a"]]}, "user_id must hold strings"),
        ({"user_id": ["u"], "history": [[1]]}, "must hold lists"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    """The error names the file and what is wrong with it."""
    path = write(tmp_path, **columns)

    with pytest.raises(DataError, match=message) as caught:
        open_histories(path)
    assert str(path) in str(caught.value)


def test_missing_or_other_files_are_refused(tmp_path: Path) -> None:
    """A path that is no Parquet file ends in one line."""
    (tmp_path / "text").write_text("hello")

    with pytest.raises(DataError, match="no such file"):
        open_histories(tmp_path / "nothing")
    with pytest.raises(DataError, match="not a Parquet file"):
        open_histories(tmp_path / "text")
    with pytest.raises(DataError, match="not a Parquet file"):
        open_histories(tmp_path)


def test_default_is_the_run_directory(tmp_path: Path) -> None:
    """The file lies two levels above a bundle; elsewhere there is none."""
    bundle = tmp_path / "bundles" / "abc"
    bundle.mkdir(parents=True)
    before = default_users_file(bundle)
    path = write(tmp_path, user_id=["u"], history=[["a"]])

    assert before is None
    assert default_users_file(bundle) == path
