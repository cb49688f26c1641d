"""Write the OpenAPI snapshot again after a deliberate change: ``python tests/golden/write_openapi.py``."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.app import api_document, build_served
from vizsla.config import Settings
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.scorers import DotScorer

GOLDEN = Path(__file__).with_name("openapi.json")


def main() -> None:
    with TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder))
        scorer = DotScorer(bundle.item_vectors())
        served = build_served(Settings(), bundle.path, load_scorer=lambda _: scorer)
    text = json.dumps(api_document(served), indent=2, sort_keys=True, ensure_ascii=False)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
