"""docs/own-data.md, run as it is written, on a CSV made from a public shop's log."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "own-data.md"
FREE_PORT = 18417


def _export(source: Path, folder: Path) -> None:
    """Write events.csv and items.csv as a shop would, with one row that is broken."""
    with (
        gzip.open(source / "sequences.txt.gz", "rt") as lines,
        (folder / "events.csv").open("w", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id", "event_timestamp", "event_type"])
        for line in lines:
            user, *items = line.split()
            rows.writerows(
                [user, item, 1_400_000_000 + 3600 * place, "purchase"]
                for place, item in enumerate(items)
            )
        rows.writerow(["1", "", 1_400_000_000, "purchase"])
    with gzip.open(source / "item2attributes.json.gz", "rt") as text:
        attributes = json.load(text)
    with (folder / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "category"])
        rows.writerows([item, "|".join(map(str, values))] for item, values in attributes.items())


def _answers(output: str) -> list[dict]:
    starts = [found.start() for found in re.finditer(r'\{"request_id"', output)]
    return [json.JSONDecoder().raw_decode(output, start)[0] for start in starts]


@pytest.mark.e2e
@pytest.mark.data
@pytest.mark.timeout(1500)
def test_the_document_works_as_written(vizsla: Path, data_dir: Path, tmp_path: Path):
    """Each block, in order, takes a stranger's CSV to answers over HTTP."""
    _export(data_dir / "amazon-beauty-5core", tmp_path)
    blocks = re.findall(r"^```bash\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    script = "\n".join(blocks).replace("8000", str(FREE_PORT))
    path = f"{vizsla.parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-emc", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    quarantined = (tmp_path / ".vizsla/data/shop/quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in quarantined] == [198_504]
    recommended, retrieved = _answers(done.stdout)
    assert len(recommended["items"]) == len(retrieved["results"][0]["items"]) == 5
    assert "no such item" in json.dumps(retrieved)
