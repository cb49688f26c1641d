"""From a frame to a pruned ranker, through the command that people use."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from training.ctr.request import FrameRequest
from training.razor import PruneSettings, SearchResult, prune
from training.razor.pipeline import train_razor
from training.recipe import recipe_kind
from vizsla.bundles.ranker import read_ranker
from vizsla.cli import app
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import FrameDraft, read_frame, write_frame
from vizsla.errors import ConfigError, UsageError

FIELDS = [FieldSpec(name=name) for name in ("user_id", "item_id", "noise")]
SMALL = {
    "model": "dnn",
    "epochs": 3,
    "learning_rate": 0.02,
    "batch_size": 64,
    "model_settings.hidden": [8],
    "razor.widths": [0, 1, 2, 4],
    "razor.batch_size": 16,
    "razor.hidden": [16],
}


def table(n_rows, seed):
    rng = np.random.default_rng(seed)
    users, items, noise = (rng.integers(0, n, n_rows) for n in (12, 12, 400))
    return pl.DataFrame(
        {
            "label": ((users < 6) == (items < 6)).astype(np.float32),
            "user_id": [f"u{one}" for one in users],
            "item_id": [f"i{one}" for one in items],
            "noise": [f"n{one}" for one in noise],
        }
    )


@pytest.fixture
def frame(tmp_path):
    manifest = TrainingFrame(
        name="toy",
        source="made here",
        licence="none",
        label_rule="same half",
        fields=FIELDS,
        splits={},
        content_hash="",
    )
    rows = [("train", table(2_400, 0)), ("valid", table(200, 1)), ("test", table(200, 2))]
    write_frame(tmp_path / "frame", FrameDraft(manifest, rows))
    return read_frame(tmp_path / "frame")


def request(frame, tmp_path, settings=None, **changes):
    options = {"recipe": "razor", "frame_dir": frame.directory, "out": tmp_path / "run"}
    assignments = {"assignments": SMALL | (settings or {}), "threads": 1}
    return FrameRequest(**options | assignments | changes)


def test_noise_is_gone_from_what_is_exported(frame, tmp_path):
    run = train_razor(request(frame, tmp_path))
    out = tmp_path / "run"
    schema = RankingSchema.model_validate_json((out / "schema.json").read_bytes())

    assert [field.spec.name for field in schema.kept] == ["user_id", "item_id"]
    assert [f.name for f in read_ranker(out / "pruned" / "ranker").encoders.fields] == [
        "user_id",
        "item_id",
    ]
    assert run.result.full is not None
    assert run.result.pruned.table_parameters < run.result.full.table_parameters / 10
    assert run.result.pruned.figures["valid"]["auc"] > 0.95
    report = json.loads((out / "pruned" / "importance.json").read_text())
    names = [one["name"] for one in report["fields"]]
    assert names[-1] == "noise"


def test_a_finished_run_is_taken_as_it_is(frame, tmp_path):
    first = train_razor(request(frame, tmp_path))
    again = train_razor(request(frame, tmp_path))

    assert again.reused
    assert again.result == first.result


def test_a_stopped_run_goes_on_without_searching_again(frame, tmp_path):
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) == 160

    assert train_razor(request(frame, tmp_path, should_stop=should_stop)) is None
    searched = SearchResult.load(tmp_path / "run" / "search.json")
    run = train_razor(request(frame, tmp_path, resume=True))

    assert SearchResult.load(tmp_path / "run" / "search.json") == searched
    assert run.result.search_s == searched.search_s


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_a_search_that_is_stopped_begins_anew(frame, tmp_path, before):
    """While values are counted, encoded, or searched."""
    left = iter([False] * before + [True])
    assert train_razor(request(frame, tmp_path, should_stop=lambda: next(left))) is None
    assert not (tmp_path / "run" / "search.json").exists()

    assert train_razor(request(frame, tmp_path, {"compare": True}, resume=True)) is not None


def test_a_budget_is_kept(frame, tmp_path):
    settings = {"razor.budget": 30, "compare": False}
    run = train_razor(request(frame, tmp_path, settings))

    assert run.result.full is None
    found = SearchResult.load(tmp_path / "run" / "search.json")
    assert prune(found, PruneSettings(budget=30)).n_parameters <= 30


def test_another_run_is_not_overwritten(frame, tmp_path):
    train_razor(request(frame, tmp_path, {"compare": False}))
    with pytest.raises(UsageError, match="--fresh"):
        train_razor(request(frame, tmp_path, {"compare": False}, seed=5))

    run = train_razor(request(frame, tmp_path, {"compare": False}, seed=5, fresh=True))
    assert not run.reused


@pytest.mark.parametrize(
    ("name", "value"),
    [("razor.treshold", 0.5), ("razor.threshold", 2), ("razor.widths", [3, 1])],
)
def test_a_wrong_setting_is_named(frame, tmp_path, name, value):
    with pytest.raises(ConfigError, match=name):
        train_razor(request(frame, tmp_path, {name: value}))


def test_the_command_shows_fields_and_models(frame, tmp_path):
    settings = [f"--set={name}={json.dumps(value)}" for name, value in SMALL.items()]
    where = ["--data", str(frame.directory), "--out", str(tmp_path / "run"), "--threads=1"]
    result = CliRunner().invoke(app, ["train", "--recipe=razor", *where, *settings])

    assert recipe_kind("razor") == "razor"
    assert result.exit_code == 0, result.output
    assert "noise" in result.output
    assert "pruned" in result.output


@pytest.mark.parametrize(("asked", "taken"), [(0, 3), (2, 2)])
def test_the_search_takes_the_threads_it_was_told(frame, tmp_path, monkeypatch, asked, taken):
    """Without a number of its own it takes the operator's."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen = []

    def should_stop():
        seen.append(torch.get_num_threads())
        return len(seen) > 2

    assert train_razor(request(frame, tmp_path, threads=asked, should_stop=should_stop)) is None
    assert set(seen) == {taken}


def test_a_run_killed_after_an_export_is_taken_up(frame, tmp_path):
    settings = {"compare": False, "epochs": 1}
    run = train_razor(request(frame, tmp_path, settings))
    for name in ("result.json", "pruned/result.json"):
        (tmp_path / "run" / name).unlink()
    resumed = train_razor(request(frame, tmp_path, settings, resume=True))

    assert resumed.result.pruned.content_hash == run.result.pruned.content_hash


def test_encoders_are_copied_whole_or_not_at_all(frame, tmp_path):
    """A copy that broke off is made again."""
    settings, out = {"compare": False, "epochs": 1}, tmp_path / "run"
    run = train_razor(request(frame, tmp_path, settings))
    (out / "result.json").unlink()
    shutil.rmtree(out / "pruned")
    (out / "fields" / "fields.json").rename(out / "aside")
    (out / "fields" / "fields.json").symlink_to(out / "nowhere")
    with pytest.raises(OSError, match="No such file"):
        train_razor(request(frame, tmp_path, settings, resume=True))
    (out / "aside").replace(out / "fields" / "fields.json")
    resumed = train_razor(request(frame, tmp_path, settings, resume=True))

    assert resumed.result.pruned.content_hash == run.result.pruned.content_hash
