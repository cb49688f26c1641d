"""The form that all benches share."""

import json

import pytest

from training.bench.form import BenchFile, MissedTargetError, Target, conclude, new_result
from training.provenance import Provenance
from vizsla.errors import CorruptArtifactError, UsageError


@pytest.fixture
def origin():
    machine = {"cpu": "none", "cores": 1, "python": "3.11", "platform": "test"}
    return Provenance(commit="abc", machine=machine, command="test", started="now", seed=0)


@pytest.fixture
def result(origin):
    return new_result("walk", "quick", origin, {"bundle": "x"})


@pytest.mark.parametrize(
    ("value", "op", "met"),
    [(1.0, ">=", True), (1.0, ">", False), (0.5, "<", True), (1.0, "<=", True), (1.0, "==", True)],
)
def test_a_target_compares_value_and_target(value, op, met):
    """Every operator against 1."""
    assert Target.of("x", value, op, 1.0).met is met


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_was_not_measured_is_not_met(value):
    """Neither direction."""
    assert not Target.of("x", value, ">=", 0.0).met
    assert not Target.of("x", value, "<=", 0.0).met


def test_a_killed_bench_goes_on_where_it_was(tmp_path, result):
    """Steps in the file are not made again."""
    path, made = tmp_path / "walk.json", []

    def make(name):
        made.append(name)
        return [{"value": name}]

    first = BenchFile(path, result.model_copy(deep=True))
    first.step("a", lambda: make("a"))
    second = BenchFile(path, result.model_copy(deep=True))
    second.step("a", lambda: make("a"))
    second.step("b", lambda: make("b"))

    assert made == ["a", "b"]
    assert [(row["step"], row["value"]) for row in second.result.rows] == [("a", "a"), ("b", "b")]
    assert all(row["commit"] == result.commit for row in second.result.rows)


def test_a_step_that_fails_leaves_the_others_in_the_file(tmp_path, result):
    """Half a step is no step."""
    file = BenchFile(tmp_path / "walk.json", result)
    file.step("a", lambda: [{"value": 1}])
    with pytest.raises(ZeroDivisionError):
        file.step("b", lambda: [{"value": 1 / 0}])

    assert [row["step"] for row in json.loads(file.path.read_text())["rows"]] == ["a"]


def test_fresh_begins_again(tmp_path, result):
    """The old rows are replaced by the first new one."""
    path = tmp_path / "walk.json"
    BenchFile(path, result.model_copy(deep=True)).step("a", lambda: [{"value": 1}])
    again = BenchFile(path, result.model_copy(deep=True), fresh=True)

    assert again.result.rows == []


@pytest.mark.parametrize(
    ("change", "named"),
    [({"name": "other"}, "name"), ({"seed": 9}, "seed"), ({"settings": {}}, "settings")],
)
def test_the_file_of_another_bench_is_refused(tmp_path, result, change, named):
    """Rows of different settings do not mix."""
    path = tmp_path / "walk.json"
    BenchFile(path, result.model_copy(deep=True)).step("a", list)

    with pytest.raises(UsageError, match=f"another {named}"):
        BenchFile(path, result.model_copy(update=change))


def test_a_file_that_is_no_result_is_refused(tmp_path, result):
    """It could be anything, so it is not overwritten."""
    path = tmp_path / "walk.json"
    path.write_text("{}")

    with pytest.raises(CorruptArtifactError, match="no result of a bench"):
        BenchFile(path, result)


def test_strict_makes_a_missed_target_an_error(tmp_path, result, capsys):
    """Without it the table says so and that is all."""
    file = BenchFile(tmp_path / "walk.json", result)
    file.step("a", lambda: [{"value": 1}])
    done = file.finish(
        [Target.of("coverage", 0.9, ">=", 0.97), Target.of("cost", 1, "<=", 2)], ["value"]
    )
    conclude(done, ["value"], strict=False)

    assert "1 of 2 targets met" in capsys.readouterr().err
    with pytest.raises(MissedTargetError, match="1 targets missed, the first: coverage"):
        conclude(done, ["value"], strict=True)


def test_a_table_to_read_lies_beside_the_file(tmp_path, result):
    """Targets and the asked columns, with what is missing left empty."""
    file = BenchFile(tmp_path / "walk.json", result)
    file.step("a", lambda: [{"arm": "on", "recall": 0.123456, "other": 1}, {"arm": "off"}])
    file.finish([Target.of("cost", 1, "<=", 2)], ["arm", "recall"])
    text = (tmp_path / "walk.md").read_text()

    assert "| on | 0.1235 |\n| off |  |" in text
    assert "| cost | 1 | <= 2 | yes |" in text
    assert result.command in text


def test_the_file_has_the_common_form(tmp_path, result):
    """The keys that every committed result has."""
    file = BenchFile(tmp_path / "walk.json", result)
    file.finish([Target.of("x", 1, ">=", 0)], [])
    found = json.loads(file.path.read_text())
    common = {"name", "preset", "commit", "machine", "seed", "started", "rows", "targets"}

    assert common <= found.keys()
    assert found["targets"] == [{"name": "x", "value": 1, "op": ">=", "target": 0, "met": True}]
