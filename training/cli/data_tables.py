"""How ``vizsla data`` shows datasets and imports."""

from __future__ import annotations

from pathlib import Path

from training.cli.data_frames import frame_rows
from vizsla.cli_output import print_json, print_table, say
from vizsla.contracts.features import DatasetManifest, SideFeature
from vizsla.datasets import DATASETS, DatasetSource, ImportSummary, data_home, read_manifest

__all__ = ["print_dataset", "print_datasets", "print_import"]


def print_datasets(home: Path, *, as_json: bool) -> None:
    """List registered datasets and imported ones, then training frames."""
    rows = [_registered(DATASETS.load(name), home) for name in DATASETS] + _imported(home)
    rows += frame_rows(home)
    if as_json:
        print_json(rows)
        return
    columns = ["name", "here", "order", "source", "title"]
    print_table("datasets", columns, [[row[c] for c in columns] for row in rows])


def _registered(info: DatasetSource, home: Path) -> dict[str, object]:
    source = "download" if info.download else "--from DIR"
    return {
        "name": info.name,
        "here": (data_home(home) / info.name / "dataset.json").is_file(),
        "order": info.order,
        "source": source if info.files else "generated",
        "title": info.title,
        "licence": info.licence,
    }


def _imported(home: Path) -> list[dict[str, object]]:
    found = sorted(data_home(home).glob("*/dataset.json"))
    manifests = [read_manifest(path.parent) for path in found if path.parent.name not in DATASETS]
    return [
        {
            "name": m.name,
            "here": True,
            "order": m.order,
            "source": "imported",
            "title": f"{m.source}: {m.n_interactions:,} interactions",
            "licence": m.licence,
        }
        for m in manifests
    ]


def print_dataset(directory: Path, manifest: DatasetManifest) -> None:
    """Show the manifest of a dataset."""
    shown = {
        "source": manifest.source,
        "licence": manifest.licence,
        "interactions": manifest.n_interactions,
        "users": manifest.n_users,
        "items": manifest.n_items,
        "density": manifest.n_interactions / max(manifest.n_users * manifest.n_items, 1),
        "order": manifest.order,
        "split": "given" if manifest.given_split else "not given",
        "repeats": manifest.repeats,
        "quarantined rows": manifest.n_quarantined,
        "item features": _features(manifest.item_features),
        "user features": _features(manifest.user_features),
        "content hash": manifest.content_hash,
    }
    print_table(f"{manifest.name} in {directory}", ["", "value"], shown.items())


def _features(features: list[SideFeature]) -> str:
    return ", ".join(f"{f.name} ({f.role})" for f in features) or "none"


def print_import(summary: ImportSummary) -> None:
    """Show what an import found: rows, columns, refused rows."""
    print_table(
        f"{summary.name} in {summary.path}",
        ["file", "rows", "usable", "quarantined"],
        [[f.file, f.n_rows, f.n_usable, f.n_quarantined] for f in summary.files],
    )
    columns = [
        [f.file, c.name, c.type, c.role, c.n_missing, c.n_values]
        for f in summary.files
        for c in f.columns
    ]
    headings = ["file", "column", "type", "role", "missing", "distinct"]
    print_table("columns (pin roles with --schema)", headings, columns)
    reasons = [[f.file, reason, n] for f in summary.files for reason, n in f.reasons.items()]
    if reasons:
        print_table("quarantined", ["file", "reason", "rows"], reasons)
        say(f"refused rows, with line numbers: {summary.path}/quarantine.jsonl")
    print_table("events", ["", "value"], _facts(summary))


def _facts(summary: ImportSummary) -> list[list[object]]:
    types = ", ".join(f"{name} {count:,}" for name, count in summary.event_types.items())
    missing = " (the file has no column event_type)" if summary.event_type_missing else ""
    return [
        ["users", summary.n_users],
        ["items", summary.n_items],
        ["event types", types + missing],
        ["from", summary.first_event],
        ["to", summary.last_event],
        ["exact duplicates, kept", summary.n_duplicates],
        ["events of items that the items file lacks, kept", summary.n_events_of_unknown_items],
    ]
