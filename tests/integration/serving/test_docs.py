"""docs/api.md: its commands work and its answers are of the documented form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from serving.app import build_app
from vizsla.bundles import write
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.config import Settings
from vizsla.contracts.api import (
    ItemResponse,
    Problem,
    Readiness,
    RecommendResponse,
    RetrieveResponse,
)
from vizsla.contracts.rank_api import RankResponse
from vizsla.testing.bundles import tiny_parts
from vizsla.testing.rankers import tiny_ranker
from vizsla.testing.scorers import DotScorer

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
SECTION = re.compile(
    r"```bash\ncurl -s localhost:8000(?P<path>\S+)(?:[^\n]* -d '(?P<body>[^\n]*)')?\n```"
    r"(?:\n\n```json\n(?P<answer>.*?)```)?",
    re.DOTALL,
)
EXAMPLES = [match.groupdict() for match in SECTION.finditer(TEXT)]
MODELS: dict[str, type[BaseModel]] = {
    "/v1/retrieve": RetrieveResponse,
    "/v1/recommend": RecommendResponse,
    "/v1/rank": RankResponse,
    "/v1/items/50": ItemResponse,
    "/readyz": Readiness,
}


@pytest.fixture(scope="module")
def numbered(running: Any, settings: Settings, tmp_path_factory: Any) -> Iterator[Any]:
    """The tiny bundle with items called 0, 1, 2, ... as in the examples."""
    parts = tiny_parts(n_items=300)
    names = [str(num) for num in range(300)]
    place = parts.items.column_names.index("item_id")
    golden = [one.model_copy(update={"history": ["0"], "item_ids": []}) for one in parts.golden]
    golden = [one.model_copy(update={"scores": []}) for one in golden]
    parts = replace(parts, items=parts.items.set_column(place, "item_id", [names]), golden=golden)
    folder = tmp_path_factory.mktemp("numbered")
    plain = write(folder, parts, FakeClock())
    bundle = attach_ranker(plain, tiny_ranker(folder / "ranker"), folder, clock=FakeClock())
    scorer = DotScorer(bundle.item_vectors())
    with running(build_app(settings, bundle.path, load_scorer=lambda _: scorer)) as client:
        yield client


def test_examples_are_found() -> None:
    """The document has its commands where this test looks for them."""
    assert len(EXAMPLES) == TEXT.count("```bash")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["path"])
def test_commands_work_and_answers_have_the_form(numbered: Any, example: dict[str, str]) -> None:
    """Each command gets the status it shows, and what is shown is a valid answer."""
    shown = json.loads(example["answer"]) if example["answer"] else {}
    method = "POST" if example["body"] else "GET"
    answer = numbered.request(
        method,
        example["path"],
        content=example["body"] or b"",
        headers={"Content-Type": "application/json"},
    )
    expected = shown["status"] if "type" in shown else 200

    assert answer.status_code == expected
    if shown:
        model = Problem if expected != 200 else MODELS[example["path"]]
        model.model_validate(shown)
        assert shown.keys() == answer.json().keys()


def test_every_route_is_documented(client: Any) -> None:
    """Each path of the OpenAPI document occurs in docs/api.md."""
    for path in client.get("/openapi.json").json()["paths"]:
        assert path.replace("{item_id}", "{id}") in TEXT
