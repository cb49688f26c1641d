"""The command line: lazy, one line per error, and a status that scripts can use."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from vizsla.cli import GROUP, SUMMARIES, main

HEAVY = ("torch", "ray", "polars", "faiss", "pyarrow", "numpy", "fastapi")


def run_python(code, tmp_path, **options):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False, **options
    )


def run_cli(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def test_every_entry_point_has_a_summary_and_the_other_way_round():
    """The table that ``--help`` shows and the installed commands are the same set."""
    assert {point.name for point in entry_points(group=GROUP)} == set(SUMMARIES)


def test_help_lists_the_commands_and_imports_none_of_them(tmp_path):
    """Showing the help loads no numerical library."""
    code = (
        "import sys\nfrom vizsla.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: print(stop.code)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = run_python(code, tmp_path)

    assert result.stdout.splitlines()[-2:] == ["0", "[]"]
    assert SUMMARIES["bundle"] in result.stdout
    assert SUMMARIES["doctor"] in result.stdout


def test_no_argument_shows_the_help(capsys):
    """Calling it bare is a question, answered with status 2."""
    assert run_cli() == 2
    assert "Usage: vizsla" in capsys.readouterr().out


def test_version(capsys):
    """The version goes to stdout."""
    assert run_cli("--version") == 0
    assert capsys.readouterr().out == "vizsla 0.1.0\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SUMMARIES))
def test_every_command_loads_and_explains_itself(name, capsys):
    """Its help works, with a description of its own."""
    assert run_cli(name, "--help") == 0
    assert f"Usage: vizsla {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bundel"], 2, "error: No such command 'bundel'. Did you mean 'bundle'"),
        (["bundle", "show"], 2, "error: Missing argument"),
        (["bundle", "show", "x", "--jsn"], 2, "error: No such option: --jsn"),
        (["bundle", "show", "nowhere"], 5, "error: nowhere: not a bundle, no such directory"),
        (["--config", "no.toml", "config", "show"], 3, "error: no.toml: no such settings file"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_a_status(capsys, arguments, code, message):
    """Nothing on stdout, no traceback."""
    assert run_cli(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_the_config_option_is_the_default_file_of_every_command(tmp_path, capsys):
    """``vizsla --config F show`` reads F."""
    file = tmp_path / "mine.toml"
    file.write_text("[serving]\nport = 9123\n")

    code = (
        "from vizsla.cli import main\n"
        f"main(['--config', {str(file)!r}, 'config', 'show', '--json'])"
    )
    result = run_python(code, tmp_path)

    assert result.returncode == 0
    assert '"value": 9123' in result.stdout
    assert str(file) in result.stdout


PLUGIN = (
    "import sys, typer, vizsla.cli as cli\n"
    "class Point:\n"
    "    def load(self): return command\n"
    "cli._available = lambda: {'boom': Point()}\n"
)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise KeyboardInterrupt", 130, "stopped"),
        ("raise typer.Exit(4)", 4, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise ValueError('a\\nb')", 1, "error: unexpected ValueError: a b (a bug; traceback in "),
    ],
)
def test_how_a_command_may_end(tmp_path, body, code, message):
    """Interrupted, with a status of its own, or by a bug: never with a traceback."""
    script = f"{PLUGIN}def command() -> None:\n    {body}\ncli.main(['boom'])"
    result = run_python(script, tmp_path)

    assert result.returncode == code
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == (1 if message else 0)


def test_a_bug_leaves_its_traceback_in_a_file_or_shows_it(tmp_path):
    """The file named in the message holds it; ``--debug`` prints it instead."""
    script = f"{PLUGIN}def command() -> None:\n    1 / 0\ncli.main(ARGUMENTS)"
    quiet = run_python(script.replace("ARGUMENTS", "['boom']"), tmp_path)
    loud = run_python(script.replace("ARGUMENTS", "['--debug', 'boom']"), tmp_path)

    assert str(tmp_path / "vizsla-error.log") in quiet.stderr
    assert "ZeroDivisionError" in (tmp_path / "vizsla-error.log").read_text()
    assert "Traceback" in loud.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    """``vizsla ... | head -1`` ends quietly."""
    script = (
        "from vizsla.cli_output import print_json\n"
        f"{PLUGIN}def command() -> None:\n    print_json(list(range(100000)))\ncli.main(['boom'])"
    )
    shell = f'{sys.executable} -c "$SCRIPT" | head -1'
    result = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"SCRIPT": script, "PATH": "/usr/bin:/bin"},
    )

    assert (result.stdout, result.stderr) == ("[\n", "")


def test_python_dash_m_is_the_same_command(tmp_path):
    """``python -m vizsla`` works without the console script."""
    result = subprocess.run(
        [sys.executable, "-m", "vizsla", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )

    assert result.stdout == "vizsla 0.1.0\n"
