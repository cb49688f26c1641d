"""What commands print, and how long steps report."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vizsla.cli_output import format_duration, print_json, print_table, progress
from vizsla.clock import FakeClock
from vizsla.contracts.bundle import FileEntry


@dataclass
class Point:
    x: int


def test_json_understands_what_we_have(capsys):
    """Arrays, NumPy scalars, models, dataclasses and paths, on stdout."""
    value = {
        "array": np.arange(2),
        "scalar": np.float32(0.5),
        "model": FileEntry(sha256="a", n_bytes=1),
        "dataclass": Point(1),
        "path": Path("a/b"),
        "long": "x" * 500,
    }
    print_json(value)

    assert json.loads(capsys.readouterr().out) == {
        "array": [0, 1],
        "scalar": 0.5,
        "model": {"sha256": "a", "n_bytes": 1},
        "dataclass": {"x": 1},
        "path": "a/b",
        "long": "x" * 500,
    }


def test_json_refuses_what_it_does_not_know():
    """A set has no order, so it is not quietly made a list."""
    with pytest.raises(TypeError, match="cannot write set"):
        print_json({1})


def test_a_piped_table_is_wide_and_reads_well(capsys):
    """Numbers with separators, four digits, dashes, yes and no; markup is text."""
    rows = [
        [1234567, 0.123456, None, True, "[b]" + "x" * 90],
        [np.int64(2), 99999.0, 1, np.True_, ""],
    ]
    print_table("A [red]title", ["n", "ratio", "gap", "ok", "name"], rows, note="a note")
    out = capsys.readouterr().out

    assert out.startswith("A [red]title\n")
    assert out.endswith("a note\n")
    for cell in ("1,234,567", "0.1235", "-", "yes", "99,999", "[b]" + "x" * 90):
        assert cell in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.6, "60 s"), (60, "1 min 0 s"), (3600, "1 h 0 min")]
)
def test_durations(seconds, text):
    """Seconds, minutes, hours."""
    assert format_duration(seconds) == text


def test_progress_in_a_log_is_a_line_now_and_then(capsys):
    """Throughput, share, time so far and time left; at most one line in ten seconds."""
    clock = FakeClock()
    with progress("training", total=200, unit="steps", clock=clock) as bar:
        for _ in range(100):
            clock.advance(0.25)
            bar.note("loss 0.5")
            bar.advance()
    lines = capsys.readouterr().err.splitlines()

    assert lines == [
        "training: 40/200 (20%) steps, 4.0 steps/s, 10 s so far, 40 s left, loss 0.5",
        "training: 80/200 (40%) steps, 4.0 steps/s, 20 s so far, 30 s left, loss 0.5",
        "training: 100/200 (50%) steps, 4.0 steps/s, 25 s so far, 25 s left, loss 0.5",
    ]


def test_short_steps_say_nothing_in_a_log(capsys):
    """What nobody waited for is not reported."""
    with progress("quick", total=1) as bar:
        bar.advance()

    assert capsys.readouterr().err == ""


def test_progress_without_a_total_counts(capsys):
    """No share and no remaining time where the end is unknown."""
    clock = FakeClock()
    with progress("reading", unit="rows", clock=clock) as bar:
        clock.advance(20)
        bar.advance(1000)

    assert capsys.readouterr().err.splitlines()[0] == (
        "reading: 1,000 rows, 50.0 rows/s, 20 s so far"
    )


def test_progress_on_a_terminal_is_a_bar():
    """A real terminal gets a live bar with count and note."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with progress("training", total=2, unit="steps", screen=console) as bar:
        bar.advance()
        bar.note("loss 0.25")
        bar.advance()

    assert "training" in screen.getvalue()
    assert "2/2" in screen.getvalue()
    assert "loss 0.25" in screen.getvalue()
