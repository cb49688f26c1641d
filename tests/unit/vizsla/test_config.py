"""Settings: file, environment, flags, and where each value came from."""

import os
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from vizsla.config import Settings, default_threads, load_settings, resolve_settings, setting_fields
from vizsla.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """No ``vizsla.toml`` of the machine gets into a test."""
    monkeypatch.chdir(tmp_path)


def file_with(tmp_path, text, name="settings.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_defaults_are_valid_and_listen_on_this_machine_only():
    """Every default satisfies its own rule, and nothing is open to the network."""
    resolved = resolve_settings(environ={})

    assert Settings.model_validate(resolved.settings.model_dump()) == resolved.settings
    assert resolved.settings.serving.host == "127.0.0.1"
    assert resolved.settings.serving.ingress == "python"
    assert resolved.settings.serving.max_body_bytes == 1_048_576
    assert set(resolved.origins.values()) == {"default"}
    assert set(resolved.origins) == set(setting_fields())


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path):
    """Each name has the last word's value and that one's origin."""
    path = file_with(tmp_path, 'home = "h"\n[serving]\nport = 1\nmax_k = 50\nhost = "::1"\n')
    environ = {"VIZSLA_SERVING__PORT": "2", "VIZSLA_SERVING__MAX_K": "60"}
    resolved = resolve_settings(path, {"serving.port": "3"}, environ)

    serving = resolved.settings.serving
    assert (serving.port, serving.max_k, serving.host) == (3, 60, "::1")
    assert resolved.origins["serving.port"] == "flag"
    assert resolved.origins["serving.max_k"] == "$VIZSLA_SERVING__MAX_K"
    assert resolved.origins["serving.host"] == str(path)
    assert resolved.origins["serving.default_k"] == "default"


def test_the_file_in_the_working_directory_is_found(tmp_path):
    """``vizsla.toml`` needs no option, and ``$VIZSLA_CONFIG`` names another."""
    file_with(tmp_path, "[serving]\nport = 1\n", "vizsla.toml")
    other = file_with(tmp_path, "[serving]\nport = 2\n")

    assert resolve_settings(environ={}).settings.serving.port == 1
    assert resolve_settings(environ={"VIZSLA_CONFIG": str(other)}).settings.serving.port == 2
    assert load_settings(other).serving.port == 2


def test_variables_that_are_no_settings_do_not_disturb():
    """Those of the tests, those of others, and empty ones."""
    environ = {"VIZSLA_REQUIRE_DATA": "1", "VIZSLA_DATA_DIR": "", "PATH": "/bin", "VIZSLAX": "1"}

    assert resolve_settings(environ=environ).settings.data_dir is None


def test_the_variables_that_kubernetes_sets_for_a_service_do_not_disturb():
    """A Service named vizsla, or vizsla-index, must not stop the pods; a typing error still does."""
    environ = {
        "VIZSLA_SERVICE_HOST": "10.0.0.1",
        "VIZSLA_SERVICE_PORT": "8000",
        "VIZSLA_SERVICE_PORT_HTTP": "8000",
        "VIZSLA_PORT": "tcp://10.0.0.1:8000",
        "VIZSLA_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "VIZSLA_PORT_8000_TCP_ADDR": "10.0.0.1",
        "VIZSLA_INDEX_SERVICE_HOST": "10.0.0.2",
    }

    assert set(resolve_settings(environ=environ).origins.values()) == {"default"}
    with pytest.raises(
        ConfigError, match=r"\$VIZSLA_PORT: unknown setting 'port'; did you mean 'serving.port'"
    ):
        resolve_settings(environ={"VIZSLA_PORT": "8000"})


def test_settings_cannot_be_changed():
    """A process has one set of settings for all its life."""
    settings = resolve_settings(environ={}).settings

    with pytest.raises(ValidationError):
        settings.serving.port = 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "{}: unknown setting 'prot'; see `vizsla config show`"),
        ("[serving]\nprot = 1", "{}: unknown setting 'serving.prot'; did you mean 'serving.port'?"),
        ("[srving]\nport = 1", "{}: unknown setting 'srving.port'; did you mean 'serving.port'?"),
        ("[srving]\n", "{}: unknown setting 'srving.'"),
        ("serving = 1", "{}: 'serving' is a section, not a setting; set serving.KEY"),
        ("[serving.port]\nx = 1", "{}: unknown setting 'serving.port.x'; did you mean"),
        ('[serving]\nport = "1"', "{}: serving.port: Input should be a valid integer, got '1'"),
        ("[serving]\nport = true", "{}: serving.port: Input should be a valid integer, got True"),
        ("[serving]\nport = 1.5", "{}: serving.port: Input should be a valid integer"),
        (
            "[serving]\nport = 70000",
            "{}: serving.port: Input should be less than or equal to 65535",
        ),
        ("[serving]\nhost = 5", "{}: serving.host: Input should be a valid string, got 5"),
        ('[serving]\ningress = "x"', "{}: serving.ingress: Input should be 'python' or 'haproxy'"),
        ("home = 1979-05-27", "{}: home: Input is not a valid path"),
        ("[serving]\nport = -1\nmax_k = 0", "{}: serving.port: Input should be greater"),
        ("a = ", "{}: not TOML: "),
        ("a = " + "[" * 5000, "{}: not TOML: "),
    ],
)
def test_a_wrong_file_is_refused_with_file_and_key(tmp_path, text, message):
    """One line that says where to look and what is allowed."""
    path = file_with(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        resolve_settings(path, environ={})
    assert str(caught.value).startswith(message.format(path))
    assert "\n" not in str(caught.value)


def test_more_than_one_mistake_is_counted(tmp_path):
    """The first is shown, the others are announced."""
    path = file_with(tmp_path, "[serving]\nport = -1\nmax_k = 0\n")

    with pytest.raises(ConfigError, match=r"\(and 1 more\)"):
        resolve_settings(path, environ={})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"VIZSLA_SERVING__PRT": "1"},
            r"\$VIZSLA_SERVING__PRT: unknown setting 'serving.prt'; did",
        ),
        ({"VIZSLA_SERVING__PORT": "x"}, r"\$VIZSLA_SERVING__PORT: Input should be a valid integer"),
        ({"VIZSLA_SERVING": "x"}, r"\$VIZSLA_SERVING: 'serving' is a section"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(environ, message):
    """The message names the variable as the user wrote it."""
    with pytest.raises(ConfigError, match=message):
        resolve_settings(environ=environ)


def test_a_wrong_flag_is_refused():
    """A flag's value is checked like any other."""
    with pytest.raises(ConfigError, match=r"flag serving.port: Input should be a valid integer"):
        resolve_settings(overrides={"serving.port": "x"}, environ={})


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"serving.default_k": "2000"}, "default_k is larger than serving.max_k"),
        ({"serving.default_deadline_ms": "20000"}, "larger than serving.max_deadline_ms"),
    ],
)
def test_settings_must_fit_together(overrides, why):
    """A default beyond its own limit is an error, not a surprise at the first request."""
    with pytest.raises(ConfigError, match=f"do not fit together: .*{why}"):
        resolve_settings(overrides=overrides, environ={})


def test_only_the_final_values_must_fit_together(tmp_path):
    """A file's default may be above the built-in limit that the environment raises."""
    path = file_with(tmp_path, "[serving]\ndefault_k = 2000\n")

    assert resolve_settings(path, environ={"VIZSLA_SERVING__MAX_K": "5000"})
    with pytest.raises(ConfigError, match="do not fit together"):
        resolve_settings(path, environ={})


def test_files_that_cannot_be_read(tmp_path):
    """Absent, a directory, or far too large."""
    (tmp_path / "large.toml").write_text("#" * ((1 << 20) + 1))

    with pytest.raises(ConfigError, match="no such settings file"):
        resolve_settings(tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve_settings(tmp_path, environ={})
    with pytest.raises(ConfigError, match="not a settings file"):
        resolve_settings(tmp_path / "large.toml", environ={})


@given(name=st.text(min_size=1, max_size=20), value=st.text(max_size=20))
def test_no_override_ends_in_anything_but_settings_or_one_line(name, value):
    """Whatever the user types."""
    with suppress(ConfigError):
        resolve_settings(overrides={name: value}, environ={})


@pytest.mark.parametrize(("said", "threads"), [("1", 1), (" 12 ", 12), ("4,2,1", 4)])
def test_the_operator_s_word_on_threads_counts(said, threads):
    """As OpenMP reads its variable: one number, or one per nesting level."""
    assert default_threads({"OMP_NUM_THREADS": said}) == threads


@pytest.mark.parametrize("environ", [{}, *({"OMP_NUM_THREADS": no} for no in ("", "0", "-2", "x"))])
def test_without_a_word_there_is_a_thread_per_core(environ):
    """What OpenMP would pass over says nothing here either."""
    assert default_threads(environ) == os.cpu_count()
