"""The reference pages agree with the code: every setting, metric and error, as it is.

Each page holds one table row per thing, made from the code; a missing row is
printed by the failing test, to be pasted into the page.
"""

import re
from pathlib import Path

import pytest

from vizsla import errors
from vizsla.config import ENV_PREFIX, resolve_settings, setting_fields
from vizsla.errors import VizslaError
from vizsla.telemetry.catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"


def rows(page):
    """The rows of all tables of a page that begin with a name in backticks."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line.startswith("| `")}


def setting_rows():
    for name, (model, field) in setting_fields().items():
        info = model.model_fields[field]
        default = "" if info.default is None else f"`{_toml(info.default)}`"
        variable = ENV_PREFIX + name.upper().replace(".", "__")
        yield f"| `{name}` | `{variable}` | {default} | {allowed(model, field)} | {info.description} |"


def _toml(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def allowed(model, field):
    """What a setting may be, in words, from its JSON Schema."""
    schema = model.model_json_schema()["properties"][field]
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    kind = kinds[0]
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    names = {
        "string": "path" if kind.get("format") == "path" else "text",
        "boolean": "`true`, `false`",
    }
    bounds = (kind.get("minimum"), kind.get("maximum"))
    text = names.get(kind["type"], kind["type"])
    if bounds[0] is not None:
        text += (
            f", {bounds[0]:g} to {bounds[1]:g}"
            if bounds[1] is not None
            else f", from {bounds[0]:g}"
        )
    return text


def metric_rows():
    for spec in CATALOGUE.values():
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        yield f"| `{spec.name}` | {spec.kind} | {spec.unit} | {labels} | {spec.help} |"


def error_rows():
    for name in errors.__all__:
        error = getattr(errors, name)
        if isinstance(error, type) and issubclass(error, VizslaError):
            what = error.__doc__.splitlines()[0]
            yield f"| `{name}` | {error.exit_code} | {error.status} | `{error.slug}` | {what} |"


PAGES = {"settings.md": setting_rows, "metrics.md": metric_rows, "errors.md": error_rows}


@pytest.mark.parametrize("page", PAGES)
def test_a_reference_page_lists_exactly_what_there_is(page):
    """Nothing undocumented, nothing documented that is gone."""
    expected = list(PAGES[page]())
    missing = [row for row in expected if row not in rows(page)]

    assert not missing, "\n" + "\n".join(missing)
    assert rows(page) - set(expected) == set()


def test_the_example_file_on_the_settings_page_is_valid(tmp_path):
    """What a reader copies must work."""
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL).group(1)
    path = tmp_path / "vizsla.toml"
    path.write_text(example)
    resolved = resolve_settings(path, environ={})

    assert str(path) in resolved.origins.values()
