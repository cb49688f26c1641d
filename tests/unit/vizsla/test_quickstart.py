"""What the quickstart types and prints, without its server."""

from __future__ import annotations

import polars as pl
from typer.testing import CliRunner

from training.ctr.pipeline import train_on_frame
from training.ctr.request import FrameRequest
from vizsla import quickstart
from vizsla.cli import app
from vizsla.contracts.features import TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import FrameDraft, write_frame


def test_an_answer_without_figures_is_printed(capsys):
    """A ranker that is late gives none."""
    items = [{"item_id": "a", "ecpm": None, "pctr": None}, {"item_id": "b", "ecpm": 0.1, "pctr": 1}]
    quickstart._print_items(["ecpm", "pctr"], items, {"a": "Alien", "b": "Brazil"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert lines == [["ecpm", "pctr"], ["-", "-", "Alien"], ["0.100", "1.000", "Brazil"]]


def test_a_training_goes_on_wherever_it_was_stopped(tmp_path):
    """Also where nothing is there yet, and where everything is."""
    field = FieldSpec(name="user_id", owner="user")
    about = {"source": "made here", "licence": "none", "label_rule": "even", "content_hash": ""}
    manifest = TrainingFrame(name="toy", fields=[field], splits={}, **about)
    users = pl.DataFrame({"user_id": [f"u{one % 6}" for one in range(60)]})
    rows = users.with_columns(label=pl.Series([one % 2 for one in range(60)], dtype=pl.Float32))
    write_frame(tmp_path / "frame", FrameDraft(manifest, [("train", rows), ("valid", rows)]))
    settings = {"model": "lr", "epochs": 2, "batch_size": 10}
    options = [f"--set={name}={value}" for name, value in settings.items()]
    left = iter([False] * 8 + [True])
    stopped = FrameRequest(
        recipe="ranker",
        frame_dir=tmp_path / "frame",
        out=tmp_path / "stopped",
        assignments=settings,
        should_stop=lambda: next(left),
    )
    assert train_on_frame(stopped) is None
    assert list((tmp_path / "stopped" / "checkpoint").iterdir())

    for name in ("new", "new", "stopped"):
        command = ["--recipe", "ranker", *options]
        command = quickstart._training(str(tmp_path / "frame"), tmp_path / name, *command)
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 0, found.output
