"""What a run in other processes has done, told once and in order."""

import pytest

from training.distributed.watch import LogWatcher
from training.recipe import StageSettings
from training.run_log import RunLog

FIGURES = {"recall_at_20": 0.25}


class Bar:
    def __init__(self):
        self.n, self.text = 0, ""

    def advance(self, n=1):
        self.n += n

    def note(self, text):
        self.text = text


def step(number, rate):
    place = {"event": "step", "stage": 1, "epoch": 1 + number // 3, "step": number}
    return place | {"loss": 1.5, "examples_per_s": rate}


@pytest.fixture
def log(tmp_path):
    return RunLog(tmp_path / "log.jsonl")


def watched(log):
    bar = Bar()
    return LogWatcher(log.path, [StageSettings()], bar), bar


def test_new_lines_move_the_bar_and_are_said(log, capsys):
    """What was there before is not shown, nor a line that is not whole yet."""
    log.write(step(0, 7.0))
    watcher, bar = watched(log)
    log.write(step(1, 7.0))
    log.write({"event": "validation", "stage": 1, "epoch": 1} | FIGURES)
    with log.path.open("a") as file:
        file.write('{"event": "st')
    watcher.look()

    assert (bar.n, bar.text) == (1, "stage 1 epoch 1 loss 1.5000")
    assert capsys.readouterr().err == "stage 1 epoch 1: recall_at_20 0.2500\n"


def test_a_log_that_was_cut_is_not_told_twice(log, capsys):
    """Even if it has grown beyond its old size in between."""
    watcher, bar = watched(log)
    for number in range(4):
        log.write(step(number, 7.0))
    watcher.look()
    log.cut(len(log.path.read_bytes().splitlines(keepends=True)[0]))
    for number in range(1, 8):
        log.write(step(number, 123.456))
    watcher.look()
    watcher.look()

    assert bar.n == 8
    assert capsys.readouterr().err == "a worker was lost: all go on from the last checkpoint\n"
