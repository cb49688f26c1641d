"""Codes on their way through Arrow, which is what Ray Data hands on."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from training.distributed.frames import from_arrow, to_arrow
from vizsla.cli import app
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames.fetching import fetch_frame
from vizsla.datasets.frames.synthetic import SyntheticCtrOptions
from vizsla.errors import UsageError
from vizsla.fields import EncodedRows, Ragged

FIELDS = (FieldSpec(name="user"), FieldSpec(name="liked", kind="multi_valued"))


def rows(*, weighted: bool) -> EncodedRows:
    lists = Ragged(np.array([4, 5, 6], np.int32), np.array([0, 2, 2, 3]))
    labels = np.array([1, 0, 1], np.float32)
    single = {"user": np.array([2, 0, 1], np.int32)}
    return EncodedRows(single, {"liked": lists}, labels, labels / 2 if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_codes_come_back_as_they_were(weighted, first):
    """Empty lists too, in whole tables and in a part of one."""
    sent = rows(weighted=weighted)
    found = from_arrow(to_arrow(sent).slice(first), FIELDS)
    expected = sent.take(np.arange(first, 3))

    assert found.single["user"].tolist() == expected.single["user"].tolist()
    assert found.lists["liked"].values.tolist() == expected.lists["liked"].values.tolist()
    assert found.lists["liked"].offsets.tolist() == expected.lists["liked"].offsets.tolist()
    assert found.labels.tolist() == expected.labels.tolist()
    assert (found.weights is not None) == weighted
    assert {found.single["user"].dtype, found.lists["liked"].values.dtype} == {np.dtype(np.int32)}


@pytest.fixture
def frame_home(tmp_path):
    """A home with a small frame."""
    options = SyntheticCtrOptions(rows=200)
    fetch_frame("synthetic-ctr", tmp_path, options=options, out="toy")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "ranker", "--reader", "spark"], "plain and ray"),
        (["--reader", "ray"], "that train on a frame"),
    ],
)
def test_readers_are_those_of_frames(frame_home, arguments, said):
    """Another name, and a recipe that has no frame, are refused."""
    out = str(frame_home / "run")
    command = ["train", "--data", "toy", "--home", str(frame_home), "--out", out, *arguments]
    found = CliRunner().invoke(app, command)

    assert isinstance(found.exception, UsageError)
    assert said in str(found.exception)
