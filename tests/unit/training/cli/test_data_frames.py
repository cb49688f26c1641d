"""``vizsla data`` for training frames, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vizsla.cli import main

ROWS = "clicked,user_id,price,note\n" + "".join(
    f"{n % 2},u{n % 5},{n / 4},{'x' * 70}\n" for n in range(60)
)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["data", *map(str, arguments)])
    found = capsys.readouterr()
    return int(ended.value.code or 0), found.out, found.err


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


def test_fetch_then_spoil_then_describe_then_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A generated frame, one with noise beside it, both listed and described."""
    home = ("--home", tmp_path)
    code, out, _ = run(capsys, "fetch", "synthetic-ctr", "--rows", 2_000, "--noise", 1, *home)
    assert code == 0
    assert "1,600 rows" in out
    noise = ("noise", "synthetic-ctr", "--fields", "10,100", "--out", "spoiled", *home)
    assert run(capsys, *noise)[0] == 0

    _, out, _ = run(capsys, "describe", "spoiled", "--json", *home)
    planted = json.loads(out)["planted"]
    assert (planted["noise_10"], planted["informative_3"]) == (0, 8)
    _, out, _ = run(capsys, "list", "--json", *home)
    listed = {one["name"]: one["here"] for one in json.loads(out)}
    assert (listed["synthetic-ctr"], listed["spoiled"], listed["frappe"]) == (True, True, False)


def test_import_shows_every_column_and_leaves_a_schema(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, rows: Path
) -> None:
    """What is left out is there with its reason; the schema can be given back."""
    arguments = ("import-frame", "--rows", rows, "--label", "clicked", "--home", tmp_path)
    code, out, err = run(capsys, *arguments, "--out", "shop")

    assert code == 0
    assert "left out" in out
    assert "text of up to 70 characters" in out
    schema = tmp_path / "data" / "shop" / "fields.toml"
    assert str(schema) in err
    code, out, _ = run(capsys, *arguments, "--out", "again", "--schema", schema, "--json")
    assert [one["reason"] for one in json.loads(out)["columns"]] == ["pinned", "pinned"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["fetch", "frape"], 2, "did you mean 'frappe'"),
        (["fetch", "frappe", "--rows", "5"], 2, "--rows is no option of frappe"),
        (["fetch", "synthetic-ctr", "--users", "5"], 2, "--users is no option of synthetic-ctr"),
        (["fetch", "synthetic-ctr", "--base-rate", "2"], 2, "--base-rate: Input should be less"),
        (["fetch", "gowalla", "--split", "time"], 2, "--split is no option of gowalla"),
        (["fetch", "frappe", "--split", "month"], 2, "--split: Input should be"),
        (["fetch", "frappe", "--from", "nowhere"], 5, "nowhere lacks frappe.csv"),
        (["fetch", "frappe"], 1, "no open download"),
        (["noise", "nothing", "--fields", "5", "--out", "n"], 5, "no training frame 'nothing'"),
        (
            ["import-frame", "--rows", "none.csv", "--label", "y", "--out", "a"],
            5,
            "no such file: none.csv",
        ),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], code: int, part: str
) -> None:
    """An exit status that is not 0 and one line on stderr."""
    found, out, err = run(capsys, *arguments, "--home", tmp_path)

    assert found == code
    assert out == ""
    assert part in err
    assert err.count("\n") == 1


def test_noise_needs_whole_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With commas between, as the message says."""
    run(capsys, "fetch", "synthetic-ctr", "--rows", 500, "--home", tmp_path)
    noise = ("noise", "synthetic-ctr", "--fields", "10;20", "--out", "n", "--home", tmp_path)
    code, _, err = run(capsys, *noise)

    assert code == 2
    assert "whole numbers with commas between" in err
