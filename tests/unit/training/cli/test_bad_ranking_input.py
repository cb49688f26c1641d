"""Rows that are not what a ranker needs, through the commands that people type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vizsla.bundles.ranker import read_ranker
from vizsla.cli import main
from vizsla.datasets.frames import columns

N_ROWS = 120
QUICK = ("--set", "model=lr", "--set", "epochs=2", "--set", "batch_size=32")


def rows(**changes: Any) -> pl.DataFrame:
    """Rows with a category, a number, a set, and where each belongs."""
    part = ["train"] * 80 + ["valid"] * 20 + ["test"] * 20
    table = {
        "clicked": [n % 3 == 0 for n in range(N_ROWS)],
        "user_id": [f"u{n % 5}" for n in range(N_ROWS)],
        "price": [n / 4 for n in range(N_ROWS)],
        "tags": [["a", "b"][: n % 3] for n in range(N_ROWS)],
        "part": part,
    }
    return pl.DataFrame(table | changes)


class Shop:
    """The commands, in a home of their own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys

    def command(self, *arguments: object) -> tuple[int, str]:
        """Return exit status and stderr."""
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        return int(ended.value.code or 0), self._capsys.readouterr().err

    def imported(self, table: pl.DataFrame, *more: object) -> tuple[int, str]:
        """Import rows as the frame ``mine``."""
        table.write_parquet(self.home / "rows.parquet")
        given = ("--rows", self.home / "rows.parquet", "--label", "clicked", "--out", "mine")
        split = ("--split-by", "part")
        return self.command(
            "data", "import-frame", *given, *split, *more, "--home", self.home, "--force"
        )

    def trained(self, *more: object, out: str = "run") -> tuple[int, str]:
        """Train a small ranker on it."""
        given = ("--data", "mine", "--out", self.home / out, "--home", self.home)
        return self.command("train", "--recipe", "ranker", *given, *QUICK, *more)

    def result(self) -> dict[str, Any]:
        """Return what training wrote."""
        found: dict[str, Any] = json.loads((self.home / "run" / "result.json").read_text())
        return found


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    return Shop(tmp_path, capsys)


def one_line(error: str, part: str) -> bool:
    """Return whether a command ended with one line that says something."""
    last = error.strip().splitlines()[-1]
    return part in last and "Traceback" not in error


@pytest.mark.parametrize("label", [True, False])
def test_a_constant_label_is_no_frame(shop: Shop, label: bool) -> None:
    """Nothing could be learned from it."""
    code, error = shop.imported(rows(clicked=[label] * N_ROWS))

    assert code == 1
    assert one_line(error, f"the label of every training row is {int(label)}; both are needed")


def test_a_single_class_in_validation_is_trained_and_said(shop: Shop) -> None:
    """There is no AUC to choose by, and nothing to fit a curve on."""
    clicked = [n % 3 == 0 or 80 <= n < 100 for n in range(N_ROWS)]
    assert shop.imported(rows(clicked=clicked))[0] == 0
    code, error = shop.trained()

    assert code == 0, error
    assert "validation has no auc: the epoch is chosen by log_loss" in error
    assert "not calibrated: 0 validation rows of the rarer label, 10 needed" in error
    assert "auc" not in shop.result()["figures"]["valid"]
    assert read_ranker(shop.home / "run" / "ranker").manifest.calibration is None


def test_without_a_validation_row_all_epochs_are_trained(shop: Shop) -> None:
    """The last one is exported."""
    assert shop.imported(rows(part=["train"] * 100 + ["test"] * 20))[0] == 0
    code, error = shop.trained()

    assert code == 0, error
    assert "validation has no row: the last epoch is kept" in error
    assert shop.result()["selected_by"] is None
    assert len(shop.result()["history"]) == 2
    assert "valid" not in shop.result()["figures"]


def test_a_column_without_a_value_is_left_out_or_missing(shop: Shop) -> None:
    """Inferred, it is no field; pinned, it is one that never says anything."""
    empty = pl.Series([None] * N_ROWS, dtype=pl.String)
    assert shop.imported(rows(empty=empty))[0] == 0
    schema = shop.home / "data" / "mine" / "fields.toml"
    assert "empty" not in schema.read_text()
    schema = schema.rename(shop.home / "fields.toml")
    schema.write_text(schema.read_text() + '\n[[fields]]\nname = "empty"\n')

    assert shop.imported(rows(empty=empty), "--schema", schema)[0] == 0
    assert shop.trained()[0] == 0


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("price", ["cheap"] * N_ROWS, "price is no number"),
        ("user_id", [["a"]] * N_ROWS, "'user_id' holds"),
        ("tags", [1.5] * N_ROWS, "'tags' holds"),
    ],
)
def test_values_of_the_wrong_type_are_named(
    shop: Shop, name: str, values: list[object], said: str
) -> None:
    """Text for a number, a list for a category, a number for a set."""
    assert shop.imported(rows())[0] == 0
    schema = (shop.home / "data" / "mine" / "fields.toml").rename(shop.home / "fields.toml")
    code, error = shop.imported(rows(**{name: values}), "--schema", schema)

    assert code == 1
    assert one_line(error, said)


def test_numbers_that_are_not_finite_are_missing(shop: Shop) -> None:
    """Training goes on without them."""
    odd = [float("nan"), float("inf"), float("-inf"), None]
    prices = [odd[n % 8] if n % 8 < 4 else n / 4 for n in range(N_ROWS)]
    assert shop.imported(rows(price=prices))[0] == 0
    code, error = shop.trained()

    assert code == 0, error
    assert all(one["loss"] < 1 for one in shop.result()["history"])


def _without_column(frame: Path) -> None:
    for path in frame.glob("*/part-*.parquet"):
        table = pl.read_parquet(path).drop("price")
        table.write_parquet(path)


def test_a_frame_with_a_column_missing_is_refused(shop: Shop) -> None:
    """It was changed behind our back; the message says what to do."""
    assert shop.imported(rows())[0] == 0
    _without_column(shop.home / "data" / "mine")
    code, error = shop.trained()

    assert code == 2
    assert one_line(error, "no column 'price'; it has: label, user_id, tags")


def test_a_frame_that_changed_is_another_run(shop: Shop) -> None:
    """The finished run is neither taken for the new rows nor overwritten."""
    assert shop.imported(rows())[0] == 0
    assert shop.trained()[0] == 0
    before = shop.result()
    assert shop.imported(rows(price=[-n / 4 for n in range(N_ROWS)]))[0] == 0
    code, error = shop.trained()

    assert code == 2
    assert one_line(error, "content_hash")
    assert shop.result() == before


def test_a_ranker_is_not_judged_on_a_frame_without_its_fields(shop: Shop) -> None:
    """The missing field is named."""
    assert shop.imported(rows())[0] == 0
    assert shop.trained()[0] == 0
    assert shop.imported(rows().drop("price"))[0] == 0
    code, error = shop.command("evaluate", shop.home / "run", "--data", shop.home / "data" / "mine")

    assert code == 2
    assert one_line(error, "no field 'price', which the ranker reads")


@pytest.mark.parametrize(
    ("text", "code"), [(None, 3), ("no JSON", 3), ("{}", 3), ('{"fields": [{"dim": -1}]}', 3)]
)
def test_a_schema_file_that_is_none_is_refused(shop: Shop, text: str | None, code: int) -> None:
    """The setting and the file are named."""
    assert shop.imported(rows())[0] == 0
    path = shop.home / "schema.json"
    if text is not None:
        path.write_text(text)
    found, error = shop.trained("--set", f"schema_file={path}")

    assert found == code
    assert one_line(error, f"'schema_file': {path}")


def test_a_schema_file_of_other_values_is_refused(shop: Shop) -> None:
    """Its codes would mean other values."""
    assert shop.imported(rows())[0] == 0
    assert shop.trained()[0] == 0
    assert shop.imported(rows(user_id=[f"v{n % 7}" for n in range(N_ROWS)]))[0] == 0
    schema = shop.home / "run" / "schema.json"
    code, error = shop.trained("--set", f"schema_file={schema}", out="other")

    assert code != 0
    assert one_line(error, "other codes")


def test_a_field_of_too_many_values_is_hashed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table has as many rows as buckets, however many values there are."""
    monkeypatch.setattr(columns, "MOST_KNOWN", 50)
    monkeypatch.setattr(columns, "N_BUCKETS", 16)
    assert shop.imported(rows(user_id=list(range(N_ROWS))))[0] == 0
    assert 'type = "hash"' in (shop.home / "data" / "mine" / "fields.toml").read_text()
    code, error = shop.trained()
    schema = json.loads((shop.home / "run" / "schema.json").read_text())

    assert code == 0, error
    assert {one["spec"]["name"]: one["n_codes"] for one in schema["fields"]}["user_id"] == 18
