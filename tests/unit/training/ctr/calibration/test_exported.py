"""``vizsla evaluate RANKER``: an exported ranker judged on the rows of a frame."""

import json

import numpy as np
import polars as pl
import pytest

from training.ctr.calibration import choose
from training.ctr.calibration.exported import evaluate_ranker, open_model
from training.ctr.predicting import raw_logits
from vizsla.bundles.ranker import RankerParts, UncertaintyParts, write_ranker
from vizsla.cli import main
from vizsla.contracts.bundle import ModelRef
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FIRST_KNOWN, BucketEncoding, FieldSpec
from vizsla.contracts.ranker import FrameRef
from vizsla.datasets.frames import FrameDraft, read_frame, write_frame
from vizsla.errors import CorruptArtifactError
from vizsla.fields.encoders import FieldEncoders
from vizsla.models.ranker import Ranker
from vizsla.models.ranker.dnn import Dnn, DnnConfig
from vizsla.rng import torch_generator

FIELDS = [
    FieldSpec(name="item_id", owner="item"),
    FieldSpec(name="device"),
    FieldSpec(name="age", kind="numeric", owner="user", encoding=BucketEncoding()),
    FieldSpec(name="tags", kind="multi_valued", owner="item"),
]


def rows(n, seed):
    """Rows with items from often to never seen, and a label that is 1 in a third."""
    generator = np.random.default_rng(seed)
    items = np.minimum(generator.geometric(0.1, n), 40) if seed else np.arange(n) % 20
    return pl.DataFrame(
        {
            "item_id": items.astype(str),
            "device": generator.choice(["phone", "tablet"], n),
            "age": generator.integers(10, 70, n).astype(np.float64),
            "tags": [["a", "b"][: generator.integers(3)] for _ in range(n)],
            "label": (generator.random(n) < 1 / 3).astype(np.float32),
        }
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A frame named ``shop``."""
    monkeypatch.setenv("VIZSLA_HOME", str(tmp_path))
    manifest = TrainingFrame(
        name="shop",
        source="made here",
        licence="none",
        label_rule="click",
        fields=FIELDS,
        splits={},
        content_hash="",
    )
    parts = [("train", rows(300, 0)), ("valid", rows(200, 1)), ("test", rows(200, 2))]
    write_frame(tmp_path / "data" / "shop", FrameDraft(manifest, iter(parts)))
    return tmp_path


def export(home, fields=("item_id", "device", "age", "tags"), calibrated=True):
    """A ranker that was never trained, with a curve fitted on validation rows."""
    frame = read_frame(home / "data" / "shop")
    encoders = FieldEncoders.fit(FIELDS, frame.tables("train"))
    schema = encoders.schema(frame.manifest, dict.fromkeys(fields, 2))
    config = DnnConfig(hidden=(4,))
    ranker = Ranker(schema, Dnn(schema, config))
    ranker.reset_parameters(torch_generator(0, "test"))
    valid = encoders.encode(frame.table("valid"))
    chosen = choose(raw_logits(ranker, valid), valid.labels)
    return write_ranker(
        home / "run" / "ranker",
        RankerParts(
            model=ModelRef(name="dnn", config=config.model_dump(mode="json")),
            schema=schema,
            weights={name: value.numpy() for name, value in ranker.state_dict().items()},
            encoders=encoders,
            golden=[],
            dataset=FrameRef(name="shop", content_hash=frame.manifest.content_hash),
            calibration=chosen.calibration.model_dump(mode="json") if calibrated else None,
        ),
    )


def evaluate(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return ended.value.code


def test_a_run_is_judged_by_segment_and_written_beside_its_ranker(home, capsys):
    """Tables on stdout, files beside, and the curve mends an untrained model's 50 %."""
    exported = export(home)
    code = evaluate(home / "run", "--segment", "device", "--segment", "age")
    out, err = capsys.readouterr()
    assert code == 0, err
    (written,) = (home / "run" / "evaluation").glob("*/test/calibration.json")
    found = json.loads(written.read_text())

    assert code == 0
    assert "device: phone" in out
    assert "calibration.png" in err
    assert {one["field"] for one in found["segments"]} == {"score", "impressions", "device", "age"}
    assert sum(one["field"] == "age" for one in found["segments"]) == 5
    assert abs(found["calibrated"]["ratio"] - 1) < 0.3 < found["raw"]["ratio"] - 1
    assert exported.manifest.content_hash.startswith(written.parts[-3])


def test_impressions_are_those_of_training_rows(home):
    """Items 20 and above were never shown; the others fifteen times."""
    report = evaluate_ranker(export(home), read_frame(home / "data" / "shop"), "test")
    test = rows(200, 2)["item_id"].cast(int)
    cold = {one.value: one.n_rows for one in report.segments if one.field == "impressions"}

    assert cold == {"0": (test >= 20).sum(), "10 to 99": (test < 20).sum()}


def test_claimed_deviations_stand_beside_those_seen(home, capsys):
    """The least known items first, and new ones one by one though they share a code."""
    plain, frame = export(home), read_frame(home / "data" / "shop")
    n_codes = next(one.n_codes for one in plain.schema.kept if one.spec.name == "item_id")
    known = np.float32([1.0] * FIRST_KNOWN + [0.25] * (n_codes - FIRST_KNOWN))
    arrays = {"factor": np.zeros((5, 1), np.float32), "item_variance": known}
    parts = RankerParts(
        model=plain.manifest.model,
        schema=plain.schema,
        weights=plain.weights(),
        encoders=plain.encoders,
        golden=plain.golden(),
        dataset=plain.manifest.dataset,
        uncertainty=UncertaintyParts("item_id", arrays),
    )
    unsure = write_ranker(home / "unsure" / "ranker", parts)
    spread = evaluate_ranker(unsure, frame, "test").spread
    items = frame.table("test")["item_id"].cast(pl.Int32).to_numpy()

    assert evaluate_ranker(plain, frame, "test").spread == ()
    assert [one.impressions for one in spread] == ["0", "10 to 99"]
    assert spread[0].n_items == len(set(items[items >= 20]))
    assert [one.std_mean for one in spread] == pytest.approx([1.0, 0.5])
    assert evaluate(home / "unsure") == 0
    assert "deviations" in capsys.readouterr().out
    page = next((home / "unsure").glob("evaluation/*/test/calibration.md"))
    assert "| 10 to 99 |" in page.read_text()


def test_without_a_calibration_scores_stay_raw(home):
    report = evaluate_ranker(export(home, calibrated=False), read_frame(home / "data/shop"), "test")

    assert report.raw == report.calibrated


def test_json_goes_to_stdout_alone(home, tmp_path, capsys):
    export(home)
    code = evaluate(home / "run" / "ranker", "--json", "--out", tmp_path / "out")

    assert code == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--segment", "tags"], "known: item_id, device, age"),
        (["--segment", "colour"], "'colour'"),
        (["--data", "elsewhere"], "no training frame 'elsewhere'"),
    ],
)
def test_mistakes_are_one_line(home, capsys, arguments, message):
    export(home)
    code = evaluate(home / "run", *arguments)
    err = capsys.readouterr().err

    assert code != 0
    assert message in err
    assert "Traceback" not in err


def test_a_frame_without_a_field_is_named(home, capsys):
    """Another frame that lacks what the ranker reads."""
    export(home)
    frame = read_frame(home / "data" / "shop").manifest
    fewer = frame.model_copy(update={"name": "small", "fields": FIELDS[:1]})
    draft = FrameDraft(fewer, iter([("train", rows(9, 0).select("item_id", "label"))]))
    write_frame(home / "data" / "small", draft)

    assert evaluate(home / "run", "--data", "small") != 0
    assert "no field 'device'" in capsys.readouterr().err


def test_weights_of_another_model_are_refused(home):
    exported = export(home)
    exported.manifest.model.config["hidden"] = [9]

    with pytest.raises(CorruptArtifactError, match="size mismatch"):
        open_model(exported)
