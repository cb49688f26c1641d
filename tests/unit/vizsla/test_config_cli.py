"""``vizsla config``."""

import json

import pytest
from typer.testing import CliRunner

from vizsla.config import setting_fields
from vizsla.config_cli import app
from vizsla.errors import ConfigError

runner = CliRunner()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, env=None):
    return runner.invoke(app, arguments, env=env, catch_exceptions=False)


def test_show_has_every_setting_with_value_and_origin():
    """As JSON for scripts."""
    shown = json.loads(run("show", "--json", env={"VIZSLA_SERVING__PORT": "9000"}).output)

    assert set(shown) == set(setting_fields())
    assert shown["serving.port"] == {"value": 9000, "origin": "$VIZSLA_SERVING__PORT"}
    assert shown["home"] == {"value": ".vizsla", "origin": "default"}


def test_show_as_a_table_does_not_dress_up_values():
    """A value can be copied into a file: no thousands separator, ``true`` and not "yes"."""
    output = run("show").output

    assert "1048576" in output
    assert "true" in output


def test_check_looks_at_the_file_alone(tmp_path):
    """The environment's mistakes do not count."""
    path = tmp_path / "a.toml"
    path.write_text("[serving]\nport = 1\n")
    result = run("check", str(path), env={"VIZSLA_SERVING__PORT": "x"})

    assert result.exit_code == 0
    assert f"ok, 1 of {len(setting_fields())} settings set" in result.output

    path.write_text("[serving]\nport = 'x'\n")
    with pytest.raises(ConfigError, match=r"serving.port"):
        run("check", str(path))


def test_schema_knows_every_section_and_forbids_the_rest():
    """An editor can check a file by it."""
    schema = json.loads(run("schema").output)

    assert schema["additionalProperties"] is False
    assert {"serving", "search", "telemetry", "home"} <= set(schema["properties"])
