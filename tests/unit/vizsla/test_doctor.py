"""``vizsla doctor``."""

import json
import socket

import pytest
import typer

from vizsla.config import ServingSettings, Settings
from vizsla.doctor import check_all, doctor


def by_name(settings):
    return {check.name: check for check in check_all(settings)}


@pytest.mark.slow
def test_this_machine_can_run_it(tmp_path):
    """Everything that the tests themselves need is found, with its version."""
    found = by_name(Settings(home=tmp_path / "not" / "yet", serving=ServingSettings(port=0)))

    assert all(check.ok for check in found.values() if check.required)
    assert found["torch"].found.startswith("2.13.0")
    assert found["VIZSLA_DATA_DIR"].found == "not set, datasets are downloaded"


def test_what_is_wrong_comes_with_what_to_do(tmp_path):
    """A busy port is a note, a data folder that is not there a failure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(data_dir=tmp_path / "gone", serving=ServingSettings(port=port))
        found = by_name(settings)

    busy, data = found[f"port 127.0.0.1:{port}"], found["VIZSLA_DATA_DIR"]
    assert (busy.ok, busy.required) == (False, False)
    assert "VIZSLA_SERVING__PORT" in busy.advice
    assert (data.ok, data.required) == (False, True)
    assert "gone is no directory" in data.found


def test_the_status_tells_whether_something_required_is_missing(monkeypatch, tmp_path, capsys):
    """0 when all is well, 1 when not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIZSLA_DATA_DIR", str(tmp_path))
    with pytest.raises(typer.Exit) as well:
        doctor(json=True)
    checks = json.loads(capsys.readouterr().out)
    monkeypatch.setenv("VIZSLA_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(typer.Exit) as ill:
        doctor(json=False)

    assert (well.value.exit_code, ill.value.exit_code) == (0, 1)
    assert {"name", "ok", "found", "advice", "required"} == set(checks[0])
    assert "FAIL" in capsys.readouterr().out
