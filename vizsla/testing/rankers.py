"""An exported ranker of a few kilobytes for the items of ``vizsla.testing.bundles.tiny_bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import torch

from vizsla.bundles.ranker import ExportedRanker, RankerParts, UncertaintyParts, write_ranker
from vizsla.contracts.bundle import ModelRef
from vizsla.contracts.features import SplitCounts, TrainingFrame
from vizsla.contracts.fields import UNKNOWN, BucketEncoding, FieldSpec
from vizsla.contracts.ranker import FrameRef, GoldenRow
from vizsla.fields import FieldEncoders
from vizsla.models.ranker import RANKERS, Ranker, to_inputs

__all__ = ["tiny_ranker", "tiny_records"]

_FIELDS = (
    FieldSpec(name="user_id", owner="user"),
    FieldSpec(name="age", kind="numeric", owner="user", encoding=BucketEncoding(n_buckets=4)),
    FieldSpec(name="item_id", owner="item"),
    FieldSpec(name="genre", owner="item"),
    FieldSpec(name="hour"),
    FieldSpec(name="noise"),
    FieldSpec(name="history", kind="sequence", owner="user", shares="item_id"),
)


def tiny_records(n_items: int = 40) -> list[dict[str, Any]]:
    """Return a training row per item of a tiny bundle; users are ``anna`` and ``ben``."""
    return [
        {
            "user_id": ("anna", "ben")[num % 2],
            "age": 20.0 + num,
            "item_id": f"item-{num}",
            "genre": "abcd"[num % 4],
            "hour": str(num % 24),
            "noise": str(num % 3),
            "history": [f"item-{num - 1}"] if num else [],
        }
        for num in range(n_items)
    ]


def tiny_ranker(
    folder: Path,
    model: str = "dnn",
    *,
    n_items: int = 40,
    seed: int = 0,
    calibration: dict[str, Any] | None = None,
    unsure: bool = False,
    negative_ratio: float = 1.0,
) -> ExportedRanker:
    """Write a ranker with random weights, large enough to order items differently per user.

    It reads user_id, age, item_id, genre, hour and the history; ``noise`` is dropped.  Where it
    is to be ``unsure``, deviations of its logits are random too, those of a new item largest.
    """
    table = pl.DataFrame(tiny_records(n_items))
    encoders = FieldEncoders.fit(_FIELDS, [table])
    counts = SplitCounts(n_rows=n_items, n_positive=n_items // 2)
    frame = TrainingFrame(
        name="tiny-ctr",
        source="made",
        licence="none",
        label_rule="made",
        fields=list(_FIELDS),
        splits={"train": counts},
        content_hash="0" * 64,
    )
    dims = {field.name: 4 for field in _FIELDS if field.name != "noise"}
    schema = encoders.schema(frame, dims)
    kind = RANKERS.load(model)
    ranker = Ranker(schema, kind(schema, kind.config_class()))
    generator = torch.Generator().manual_seed(seed)
    for parameter in ranker.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    ranker.eval()
    with torch.no_grad():
        found = torch.sigmoid(ranker(to_inputs(schema, encoders.encode(table)))).tolist()
    rows = zip(tiny_records(n_items), found, strict=True)
    parts = RankerParts(
        model=ModelRef(name=model, config=kind.config_class().model_dump(mode="json")),
        schema=schema,
        weights={name: tensor.numpy() for name, tensor in ranker.state_dict().items()},
        encoders=encoders,
        golden=[GoldenRow(rows=row, probability=probability) for row, probability in rows],
        dataset=FrameRef(
            name=frame.name, content_hash=frame.content_hash, negative_ratio=negative_ratio
        ),
        calibration=calibration,
        uncertainty=_uncertainty(ranker, generator) if unsure else None,
    )
    return write_ranker(folder, parts)


def _uncertainty(ranker: Ranker, generator: torch.Generator) -> UncertaintyParts:
    last = ranker.backbone.last_layer()
    assert last is not None
    item = next(one for one in ranker.schema.kept if one.spec.name == "item_id")
    factor = torch.randn(last.in_features + 1, 3, generator=generator) / 50
    variance = torch.rand(item.n_codes, generator=generator) / 2
    variance[UNKNOWN] = 1.0
    arrays = {"factor": factor.numpy(), "item_variance": variance.numpy()}
    return UncertaintyParts("item_id", arrays)
