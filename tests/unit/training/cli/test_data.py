"""``vizsla data`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vizsla.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["data", *map(str, arguments)])
    found = capsys.readouterr()
    return int(ended.value.code or 0), found.out, found.err


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "Shop.csv"
    path.write_text("user_id,item_id,event_timestamp\nu,i,10\nu,j,20\n,k,30\n")
    return path


def test_import_then_describe_then_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, events: Path
) -> None:
    """The name comes from the file; the dataset is there for the other commands."""
    code, out, err = run(capsys, "import", "--events", events, "--home", tmp_path)

    assert code == 0
    assert "user_id is empty" in out
    assert "quarantine.jsonl" in err
    code, out, _ = run(capsys, "describe", "shop", "--home", tmp_path, "--json")
    assert json.loads(out)["n_interactions"] == 2
    code, out, _ = run(capsys, "list", "--home", tmp_path, "--json")
    listed = {row["name"]: row["here"] for row in json.loads(out)}
    assert listed["shop"] is True
    assert listed["ml-100k"] is False


def test_import_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path, events: Path) -> None:
    """The summary as one object, counts per reason included."""
    arguments = ("import", "mine", "--events", events, "--home", tmp_path, "--json")
    code, out, _ = run(capsys, *arguments)

    summary = json.loads(out)
    assert code == 0
    assert summary["files"][0]["reasons"] == {"user_id is empty": 1}
    assert (summary["files"][0]["n_rows"], summary["files"][0]["n_usable"]) == (3, 2)


def test_fetch_synthetic_with_sizes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Sizes are options; the table shows what came out."""
    sizes = ("--users", 10, "--items", 30, "--clusters", 3, "--interactions", 90)
    code, out, _ = run(capsys, "fetch", "synthetic", *sizes, "--home", tmp_path)

    assert code == 0
    assert "interactions=90" in out
    assert (tmp_path / "data" / "synthetic" / "dataset.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["fetch", "gowala"], 2, "did you mean 'gowalla'"),
        (["fetch", "gowalla", "--users", "5"], 2, "--users is an option of synthetic"),
        (["fetch", "synthetic", "--items", "0"], 2, "--items: Input should be greater"),
        (["fetch", "gowalla", "--from", "nowhere"], 5, "nowhere lacks train.txt"),
        (["describe", "nothing"], 5, "vizsla data fetch nothing"),
        (["import", "--events", "none.csv"], 5, "no such file: none.csv"),
        (["import", "a", "--name", "b", "--events", "none.csv"], 2, "two names"),
        (["import", "--events", "none.csv", "--order", "random"], 2, "known: time, position"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    code: int,
    part: str,
) -> None:
    """An exit status that is not 0 and one line on stderr."""
    found, out, err = run(capsys, *arguments, "--home", tmp_path)

    assert found == code
    assert out == ""
    assert part in err
    assert err.count("\n") == 1
