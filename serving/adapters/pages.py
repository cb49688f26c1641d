"""The few pages for people: plain HTML, nothing fetched from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from serving.adapters.problems import ProblemPage

__all__ = ["docs_page", "problem_page"]

_FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#8881;padding:.7rem;overflow:auto}}code{{font-family:monospace}}</style>
<h1>{title}</h1>
{body}
</html>
"""


def problem_page(slug: str, page: ProblemPage) -> str:
    """Return the page that a problem document's ``type`` leads to."""
    body = f"<p><code>{slug}</code></p><p>{escape(page.meaning)}</p><p>{escape(page.remedy)}</p>"
    return _FRAME.format(title=escape(page.title), body=body)


def docs_page(document: dict[str, Any]) -> str:
    """Return the list of routes with an example request each, from the OpenAPI document."""
    info = document["info"]
    parts = [f"<p>{escape(info['description'])} <a href='/openapi.json'>OpenAPI</a></p>"]
    parts.extend(_operations(document))
    return _FRAME.format(title=escape(info["title"]), body="\n".join(parts))


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
            for example in _examples(operation, document):
                yield f"<pre>{escape(json.dumps(example))}</pre>"


def _examples(operation: dict[str, Any], document: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    examples: list[Any] = document["components"]["schemas"].get(name, {}).get("examples", [])
    return examples
