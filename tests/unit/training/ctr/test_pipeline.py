"""From a frame to an exported ranker, through the command that people use."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from training.cli.train import KINDS
from training.ctr.calibration.exported import stored_calibration
from training.ctr.encoding import encode_split, encode_to_disk, fit_encoders, open_encoded
from training.ctr.pipeline import train_on_frame
from training.ctr.predicting import predict
from training.ctr.request import FrameRequest
from training.recipe import recipe_kind
from training.recipes import RECIPES
from vizsla.bundles.ranker import read_ranker
from vizsla.cli import app
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import BucketEncoding, FieldSpec
from vizsla.contracts.importance import ImportanceReport
from vizsla.contracts.ranking import RankingSchema
from vizsla.datasets.frames import FrameDraft, read_frame, write_frame
from vizsla.errors import ConfigError, CorruptArtifactError, IncompatibleArtifactError, UsageError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import RANKERS, build_ranker
from vizsla.models.ranker.uncertainty import Uncertainty

FIELDS = [
    FieldSpec(name="user_id", owner="user"),
    FieldSpec(name="item_id", owner="item"),
    FieldSpec(name="price", kind="numeric", owner="item", encoding=BucketEncoding(n_buckets=4)),
    FieldSpec(name="history", kind="sequence", owner="user", shares="item_id"),
]
SMALL = {"epochs": 2, "batch_size": 64, "dim": 4, "model_settings.hidden": [8]}


def table(n_rows, seed):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 12, n_rows), rng.integers(0, 12, n_rows)
    prices = rng.normal(size=n_rows)
    return pl.DataFrame(
        {
            "label": ((users < 6) == (items < 6)).astype(np.float32),
            "user_id": [f"u{one}" for one in users],
            "item_id": [f"i{one}" for one in items],
            "price": [None if one > 1 else one for one in prices],
            "history": [
                [f"i{x}" for x in rng.integers(0, 12, n)] for n in rng.integers(0, 4, n_rows)
            ],
        }
    )


@pytest.fixture
def frame(tmp_path):
    """A small frame with all kinds of fields."""
    manifest = TrainingFrame(
        name="toy",
        source="made here",
        licence="none",
        label_rule="same half",
        fields=FIELDS,
        splits={},
        content_hash="",
    )
    rows = [("train", table(300, 0)), ("valid", table(90, 1)), ("test", table(90, 2))]
    write_frame(tmp_path / "frame", FrameDraft(manifest, rows))
    return read_frame(tmp_path / "frame")


def request(frame, tmp_path, **changes):
    options = {"recipe": "ranker", "frame_dir": frame.directory, "out": tmp_path / "run"}
    return FrameRequest(**options | {"assignments": SMALL, "threads": 1} | changes)


def exported(folder):
    """An exported ranker, built as a server would."""
    found = read_ranker(folder)
    ranker = build_ranker(found.schema, found.manifest.model.name, found.manifest.model.config)
    ranker.load_state_dict({n: torch.from_numpy(w) for n, w in found.weights().items()})
    return found, ranker.eval()


@pytest.mark.parametrize("model", sorted(RANKERS))
def test_an_exported_ranker_answers_as_training_did(frame, tmp_path, model):
    """Golden rows give their probabilities from the files alone, for every model."""
    settings = {k: v for k, v in SMALL.items() if model not in ("lr", "fm") or "hidden" not in k}
    train_on_frame(request(frame, tmp_path, assignments=settings | {"model": model}))
    found, ranker = exported(tmp_path / "run" / "ranker")
    golden = found.golden()
    answers = predict(ranker, found.encoders.encode_records([row.rows for row in golden]))

    assert len(golden) == 32
    np.testing.assert_allclose(answers, [row.probability for row in golden], atol=1e-6)
    rows = found.encoders.encode(frame.table("valid"))
    np.testing.assert_allclose(predict(ranker, rows)[:32], answers, atol=1e-6)


def test_the_command_prints_figures_and_knows_a_finished_run(frame, tmp_path):
    """Once more with the same arguments trains nothing."""
    out = tmp_path / "run"
    arguments = ["train", "--recipe", "ranker", "--data", str(frame.directory), "--out", str(out)]
    for key, value in SMALL.items():
        arguments += ["--set", f"{key}={value}"]
    first, again = (CliRunner().invoke(app, [*arguments, "--json"]) for _ in range(2))
    result = json.loads(first.stdout)

    assert first.exit_code == 0
    assert {"valid", "test", "valid.cold", "test.cold"} == set(result["figures"])
    assert {"auc", "gauc", "log_loss"} <= set(result["figures"]["valid"])
    assert result["parameters"] > result["table_parameters"] > 0
    assert not (out / "checkpoint").exists()
    assert json.loads(again.stdout) == result | {"reused": True}
    assert "CTR" in CliRunner().invoke(app, ["train", "--help"]).stdout
    assert "valid" in CliRunner().invoke(app, arguments).stdout


def test_options_of_matchers_are_refused(frame, tmp_path):
    """They would be ignored."""
    arguments = ["train", "--recipe", "ranker", "--data", str(frame.directory)]
    found = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run"), "--workers", "2"])

    assert isinstance(found.exception, UsageError)
    assert "--workers is for matchers" in str(found.exception)


def test_an_interrupted_run_is_taken_up(frame, tmp_path):
    """Also by the command's own rules: not without saying so."""
    left = iter([False] * 10 + [True])  # four row groups are encoded first
    stopped = train_on_frame(request(frame, tmp_path, should_stop=lambda: next(left)))
    with pytest.raises(UsageError, match="go on with --resume"):
        train_on_frame(request(frame, tmp_path))
    resumed = train_on_frame(request(frame, tmp_path, resume=True))
    whole = train_on_frame(request(frame, tmp_path, out=tmp_path / "whole"))

    assert stopped is None
    assert resumed.result.content_hash == whole.result.content_hash


def test_another_run_in_the_folder_is_refused(frame, tmp_path):
    """Unless it may be overwritten."""
    train_on_frame(request(frame, tmp_path))
    with pytest.raises(UsageError, match="different run \\(seed\\)"):
        train_on_frame(request(frame, tmp_path, seed=1))

    assert train_on_frame(request(frame, tmp_path, seed=1, fresh=True)).reused is False


def test_a_pruned_schema_is_trained(frame, tmp_path):
    """What it drops is neither in the weights nor in the encoders."""
    encoders = fit_encoders(frame, tmp_path / "fields")
    schema = encoders.schema(frame.manifest, {"user_id": 4, "item_id": 2})
    path = tmp_path / "schema.json"
    path.write_text(schema.model_dump_json())
    train_on_frame(request(frame, tmp_path, assignments=SMALL | {"schema_file": str(path)}))
    found, ranker = exported(tmp_path / "run" / "ranker")

    assert found.schema == schema
    assert [field.name for field in found.encoders.fields] == ["user_id", "item_id"]
    assert set(ranker.embeddings.tables) == {"2", "4"}


def test_a_schema_of_other_values_is_refused(frame, tmp_path):
    """Its codes mean other things."""
    encoders = fit_encoders(frame, tmp_path / "fields")
    schema = encoders.schema(frame.manifest, 2).model_copy(update={"vocabulary_hash": "other"})
    path = tmp_path / "schema.json"
    path.write_text(RankingSchema.model_validate(schema).model_dump_json())
    with pytest.raises(IncompatibleArtifactError, match="other codes"):
        train_on_frame(request(frame, tmp_path, assignments={"schema_file": str(path)}))
    again = request(frame, tmp_path, assignments={"schema_file": "nowhere.json"}, fresh=True)
    with pytest.raises(ConfigError, match="schema_file"):
        train_on_frame(again)


@pytest.mark.parametrize("setting", ["dims=3", "model_settings.hiden=3"])
def test_a_wrong_setting_is_named(frame, tmp_path, setting):
    """Of the recipe, and of the model."""
    key, _, value = setting.partition("=")
    with pytest.raises(ConfigError, match=key.rpartition(".")[2]):
        train_on_frame(request(frame, tmp_path, assignments={key: int(value)}))


def test_rows_beyond_memory_give_the_same_codes(frame, tmp_path):
    """Mapped from disk, and trained through a buffer."""
    encoders = fit_encoders(frame, tmp_path / "fields")
    encode_to_disk(frame, encoders, "train", tmp_path / "train")
    mapped = open_encoded(tmp_path / "train", encoders.fields)
    held = encode_split(frame, encoders, "train", tmp_path / "unused", 1000)

    assert same(mapped, held)
    run = train_on_frame(request(frame, tmp_path, assignments=SMALL | {"buffer_rows": 64}))
    assert run.result.figures["valid"]["auc"] > 0
    assert not (tmp_path / "run" / "encoded").exists()


@pytest.mark.parametrize("tables", range(4))
def test_encoding_can_be_stopped(frame, tmp_path, tables):
    """After any row group; splits that were complete are not encoded again."""
    settings = SMALL | {"buffer_rows": 64}
    left = iter([False] * tables + [True])
    stopped = request(frame, tmp_path, assignments=settings, should_stop=lambda: next(left))
    assert train_on_frame(stopped) is None
    complete = {path.name for path in tmp_path.glob("run/encoded/*")}
    run = train_on_frame(request(frame, tmp_path, assignments=settings, resume=True))
    whole = train_on_frame(request(frame, tmp_path, assignments=settings, out=tmp_path / "whole"))

    assert complete == set(("train", "valid", "test")[: max(0, tables - 1)])
    assert run.result.content_hash == whole.result.content_hash


def test_codes_of_other_data_are_not_taken(frame, tmp_path):
    """A run that was stopped while encoding leaves codes, which are those of its own frame."""
    train_on_frame(request(frame, tmp_path, should_stop=lambda: True))
    fit_encoders(frame, tmp_path / "run" / "fields")
    rows = [("train", table(300, 7)), ("valid", table(90, 8)), ("test", table(90, 9))]
    write_frame(tmp_path / "other", FrameDraft(frame.manifest, rows))
    other = read_frame(tmp_path / "other")
    run = train_on_frame(request(other, tmp_path))
    whole = train_on_frame(request(other, tmp_path, out=tmp_path / "whole"))

    assert run.result.content_hash == whole.result.content_hash


def same(one: EncodedRows, other: EncodedRows) -> bool:
    """Whether two sets of rows are the same."""
    return (
        all(np.array_equal(one.single[name], other.single[name]) for name in other.single)
        and all(
            np.array_equal(one.lists[name].values, other.lists[name].values)
            and np.array_equal(one.lists[name].offsets, other.lists[name].offsets)
            for name in other.lists
        )
        and np.array_equal(one.labels, other.labels)
    )


def test_every_recipe_is_of_a_known_kind():
    """So that the command finds who trains it."""
    assert {recipe_kind(name) for name in RECIPES} == {"matcher", *KINDS}


@pytest.mark.parametrize(("asked", "taken"), [(0, 3), (2, 2)])
def test_training_takes_the_threads_it_was_told(frame, tmp_path, monkeypatch, asked, taken):
    """Without a number of its own it takes the operator's."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen = []

    def should_stop():
        seen.append(torch.get_num_threads())
        return len(seen) > 4

    assert train_on_frame(request(frame, tmp_path, threads=asked, should_stop=should_stop)) is None
    assert set(seen) == {taken}


def test_a_run_says_how_unsure_its_ranker_is_and_carries_its_report(frame, tmp_path):
    """What was fitted is what the exported directory holds."""
    run = train_on_frame(request(frame, tmp_path))
    found = read_ranker(tmp_path / "run" / "ranker")
    parts = found.uncertainty()
    n_codes = next(one.n_codes for one in found.schema.kept if one.spec.name == "item_id")

    assert run.result.no_uncertainty is None
    assert parts.item_field == "item_id"
    assert Uncertainty.from_arrays(parts.arrays, n_hidden=8, n_codes=n_codes).std(
        np.zeros((1, 8)), np.array([1], np.int32)
    ) == pytest.approx([2.0], rel=0.8)
    written = (tmp_path / "run" / "importance.json").read_text()
    assert found.importance() == ImportanceReport.model_validate_json(written)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "fm", "model_settings": {}}, "no hidden layer"),
        ({"model_settings.hidden": []}, "no hidden layer"),
    ],
)
def test_a_run_without_uncertainty_says_why(frame, tmp_path, changes, reason):
    settings = {"epochs": 1, "batch_size": 64, "dim": 4, **changes}
    run = train_on_frame(request(frame, tmp_path, assignments=settings))

    assert reason in run.result.no_uncertainty
    assert read_ranker(tmp_path / "run" / "ranker").uncertainty() is None


def test_a_schema_without_the_item_has_no_uncertainty(frame, tmp_path):
    """The razor may drop the item itself; then nothing tells a new item from a known one."""
    whole = fit_encoders(frame, tmp_path / "fields").schema(frame.manifest, 4)
    fields = tuple(
        one.model_copy(update={"dim": 0 if one.spec.name in ("item_id", "history") else 4})
        for one in whole.fields
    )
    path = tmp_path / "cut.json"
    path.write_text(whole.model_copy(update={"fields": fields}).model_dump_json())
    run = train_on_frame(request(frame, tmp_path, assignments={**SMALL, "schema_file": str(path)}))

    assert "no item field" in run.result.no_uncertainty


def test_a_damaged_result_is_one_error_and_starting_again_mends_it(frame, tmp_path):
    """Also where the file that says what the run is was damaged."""
    train_on_frame(request(frame, tmp_path))
    (tmp_path / "run" / "result.json").write_bytes(b"\xff{")
    with pytest.raises(CorruptArtifactError, match=r"result.json is damaged.*--fresh"):
        train_on_frame(request(frame, tmp_path))
    (tmp_path / "run" / "run.json").write_text("{")

    assert not train_on_frame(request(frame, tmp_path, fresh=True)).reused


@pytest.mark.parametrize(("n_rows", "calibrated"), [(15, False), (90, True)])
def test_a_ranker_is_calibrated_where_a_curve_was_fitted(tmp_path, frame, n_rows, calibrated):
    """15 validation rows have fewer than 10 of one label; the kept share of negatives stays."""
    manifest = frame.manifest.model_copy(update={"negative_ratio": 0.25})
    rows = [("train", table(300, 0)), ("valid", table(n_rows, 1)), ("test", table(90, 2))]
    write_frame(tmp_path / "thin", FrameDraft(manifest, rows))
    train_on_frame(request(read_frame(tmp_path / "thin"), tmp_path))
    found = read_ranker(tmp_path / "run" / "ranker")

    assert (found.manifest.calibration is not None) == calibrated
    assert stored_calibration(found).negative_ratio == 0.25


def test_the_curve_follows_the_weights_of_validation_rows(frame, tmp_path):
    """Positives that count 20 times are likelier as served."""
    seen = []
    for name, weight in (("plain", 1.0), ("weighted", 20.0)):
        heavy = pl.when(pl.col("label") > 0.5).then(weight).otherwise(1.0).cast(pl.Float32)
        noisy = table(400, 1).with_columns(label=pl.col("label").shuffle(seed=1))
        valid = noisy.with_columns(weight=heavy)
        train = table(300, 0).with_columns(weight=pl.lit(1.0, pl.Float32))
        rows = [("train", train), ("valid", valid), ("test", train)]
        write_frame(tmp_path / name, FrameDraft(frame.manifest, rows))
        options = {"out": tmp_path / f"run-{name}", "assignments": SMALL | {"epochs": 1}}
        train_on_frame(request(read_frame(tmp_path / name), tmp_path, **options))
        calibration = stored_calibration(read_ranker(tmp_path / f"run-{name}" / "ranker"))
        seen.append(calibration.probabilities(np.zeros(1))[0])

    assert seen[1] > seen[0] + 0.2


def test_a_run_killed_after_its_export_is_taken_up(frame, tmp_path):
    """The ranker is there already, its result is not."""
    run = train_on_frame(request(frame, tmp_path))
    (tmp_path / "run" / "result.json").unlink()
    resumed = train_on_frame(request(frame, tmp_path, resume=True))

    assert not resumed.reused
    assert resumed.result.content_hash == run.result.content_hash
    assert read_ranker(tmp_path / "run" / "ranker").manifest.content_hash == run.result.content_hash


def test_a_run_can_be_stopped_after_its_last_epoch(frame, tmp_path):
    """While validation is scored, fields are shuffled and uncertainty is measured."""
    fitting, encoding, batches, asked, again = 1, 3, 2 * 5, [], []
    out = tmp_path / "whole"
    whole = train_on_frame(request(frame, tmp_path, out=out, should_stop=heard(asked)))
    after = len(asked) - fitting - encoding - batches
    assert after > 5 * len(FIELDS)
    for last in (fitting + batches + 1, 1, 3, 2 + 5 * len(FIELDS), after):
        should_stop = heard([], encoding + last)
        assert (
            train_on_frame(request(frame, tmp_path, should_stop=should_stop, resume=True)) is None
        )
        assert not (tmp_path / "run" / "ranker").exists()
    resumed = train_on_frame(request(frame, tmp_path, should_stop=heard(again), resume=True))

    assert len(again) == encoding + after  # no batch is trained again
    assert resumed.result.content_hash == whole.result.content_hash


def heard(asked, last=None):
    """Who is asked whether to stop, and says so from the ``last`` time on."""

    def should_stop():
        asked.append(1)
        return last is not None and len(asked) >= last

    return should_stop
