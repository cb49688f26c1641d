"""The environment of the rivals: made once, never half, from the pins alone."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from training.bench import rival_env
from training.bench.rival_env import (
    MARKER,
    REQUIREMENTS,
    EnvironmentSpec,
    RivalEnvironmentError,
    rival_python,
    speed_rivals,
)


def tiny_wheel(folder):
    """A package of one line, so that nothing is downloaded."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "answer = 42\n")
        for name, text in info.items():
            wheel.writestr(f"tiny-1.0.dist-info/{name}", text)
    return path


def spec_of(folder, line):
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{line}\n")
    return EnvironmentSpec("test", requirements)


@pytest.mark.slow
def test_it_is_made_and_found_again(tmp_path, monkeypatch):
    """A half-made folder is replaced; a complete one is used without asking pip."""
    spec = spec_of(tmp_path, tiny_wheel(tmp_path))
    rest = tmp_path / "envs" / spec.folder / "rest"
    rest.mkdir(parents=True)
    python = rival_python(tmp_path / "envs", spec)
    printed = subprocess.check_output([python, "-c", "import tiny; print(tiny.answer)"], text=True)

    assert printed == "42\n"
    assert not rest.exists()

    monkeypatch.setattr(rival_env, "_run", None)  # whoever calls it now fails
    assert rival_python(tmp_path / "envs", spec) == python


@pytest.mark.slow
def test_what_cannot_be_installed_is_one_clear_error(tmp_path):
    """The last attempt's reason, what to do, and no marker: the next run begins again."""
    missing = f"{tmp_path}/no-such-1.0-py3-none-any.whl"
    spec = replace(spec_of(tmp_path, missing), attempts=((missing,), (missing,)))
    with pytest.raises(RivalEnvironmentError, match=r"no-such.*connect"):
        rival_python(tmp_path / "envs", spec)

    assert not (tmp_path / "envs" / spec.folder / MARKER).exists()


def test_a_complete_one_needs_nothing(tmp_path):
    """The marker alone decides."""
    spec = spec_of(tmp_path, "tiny==1.0")
    folder = tmp_path / spec.folder
    folder.mkdir()
    (folder / MARKER).write_text(json.dumps({}))

    assert rival_python(tmp_path, spec) == folder / "bin" / "python"


def test_other_pins_make_another_folder(tmp_path):
    """Whatever is installed is in the name."""
    one = spec_of(tmp_path, "tiny==1.0")
    name = one.folder
    other = replace(one, attempts=(("torch==1",),)).folder
    spec_of(tmp_path, "tiny==1.1")

    assert len({name, other, one.folder}) == 3


def test_every_rival_package_is_pinned():
    """Without resolving, an open version would change under our feet."""
    lines = REQUIREMENTS.read_text().splitlines()

    assert all("==" in line for line in lines if not line.startswith("#"))


def test_torch_is_ours_in_its_cpu_build():
    """The same version on both sides, and never the gigabytes for a GPU."""
    import torch

    own = torch.__version__.partition("+")[0]
    wanted = [attempt[-1] for attempt in speed_rivals().attempts]

    assert {name.partition("+")[0] for name in wanted} == {f"torch=={own}"}
    assert sys.platform != "linux" or all(name.endswith("+cpu") for name in wanted)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["x", "ERROR: no route", "ERROR: later"], "no route"),
        (["first", "last", ""], "last"),
        ([], "no output"),
    ],
)
def test_the_reason_is_pips_first_error(lines, reason):
    """Otherwise the last line that says something."""
    assert rival_env._reason(lines) == reason
