"""Exported rankers: read back as written, and refused when anything in them was changed."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from vizsla.bundles.ranker import RANKER_FILE, RankerParts, read_ranker, write_ranker
from vizsla.contracts.bundle import ModelRef
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.contracts.ranker import FrameRef, GoldenRow
from vizsla.errors import (
    ContractError,
    CorruptArtifactError,
    IncompatibleArtifactError,
    NotFoundError,
)
from vizsla.fields.encoders import FieldEncoders

FIELDS = [FieldSpec(name="user", owner="user"), FieldSpec(name="noise")]
FRAME = TrainingFrame(
    name="toy",
    source="made here",
    licence="none",
    label_rule="any",
    fields=FIELDS,
    splits={},
    content_hash="abc",
)


def parts(**changes):
    table = pl.DataFrame({"user": ["a", "b", "a"], "noise": ["x", "y", "z"]})
    encoders = FieldEncoders.fit(FIELDS, [table])
    made = {
        "model": ModelRef(name="lr", config={}),
        "schema": encoders.schema(FRAME, {"user": 4}),
        "weights": {"backbone.bias": np.float32(0.5).reshape(1)},
        "encoders": encoders,
        "golden": [GoldenRow(rows={"user": "a"}, probability=0.25)],
        "dataset": FrameRef(name="toy", content_hash="abc"),
        "metrics": {"valid.auc": 0.75},
    }
    return RankerParts(**made | changes)


def test_an_exported_ranker_is_read_back(tmp_path):
    """Everything that was given is there; a dropped field's values are not."""
    given = parts()
    write_ranker(tmp_path / "ranker", given)
    found = read_ranker(tmp_path / "ranker")

    assert found.schema == given.schema
    assert found.manifest.metrics == given.metrics
    assert found.golden() == given.golden
    assert found.weights()["backbone.bias"].tolist() == [0.5]
    assert [field.name for field in found.encoders.fields] == ["user"]


def test_the_same_parts_have_the_same_hash(tmp_path):
    """The hash says nothing about when or where."""
    one, two = (write_ranker(tmp_path / name, parts()) for name in "ab")

    assert one.manifest.content_hash == two.manifest.content_hash


@pytest.mark.parametrize("name", ["weights.safetensors", "golden.jsonl", "fields/fields.json"])
def test_a_changed_file_is_refused(tmp_path, name):
    """A byte more is enough."""
    folder = write_ranker(tmp_path / "ranker", parts()).path
    with (folder / name).open("ab") as file:
        file.write(b" ")

    with pytest.raises(CorruptArtifactError, match="does not match its sha256"):
        read_ranker(folder)


def test_a_changed_manifest_is_refused(tmp_path):
    """Also where the change is plausible."""
    folder = write_ranker(tmp_path / "ranker", parts()).path
    fields = json.loads((folder / RANKER_FILE).read_text())
    (folder / RANKER_FILE).write_text(json.dumps(fields | {"metrics": {"valid.auc": 0.99}}))

    with pytest.raises(CorruptArtifactError, match="was changed after it was written"):
        read_ranker(folder)


def test_a_file_more_is_refused(tmp_path):
    """A directory holds what the manifest lists."""
    folder = write_ranker(tmp_path / "ranker", parts()).path
    (folder / "more").touch()

    with pytest.raises(CorruptArtifactError, match="not in the manifest"):
        read_ranker(folder)


def test_another_format_version_is_refused(tmp_path):
    """It is named, and what to do."""
    folder = write_ranker(tmp_path / "ranker", parts()).path
    (folder / RANKER_FILE).write_text('{"format_version": 9}')

    with pytest.raises(IncompatibleArtifactError, match="format version 9"):
        read_ranker(folder)


def test_nothing_there(tmp_path):
    """An empty folder is no ranker."""
    with pytest.raises(NotFoundError, match=RANKER_FILE):
        read_ranker(tmp_path)


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    """A diverged model never leaves training."""
    with pytest.raises(ContractError, match="not finite"):
        write_ranker(tmp_path / "ranker", parts(weights={"w": np.array([np.nan])}))

    assert list(tmp_path.iterdir()) == []
