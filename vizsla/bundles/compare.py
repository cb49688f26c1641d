"""What differs between two bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vizsla.bundles.bundle import Bundle

__all__ = ["BundleDiff", "Change", "diff"]

NOT_COMPARED = ("content_hash", "manifest_hash", "created_at", "files")


@dataclass(frozen=True, slots=True)
class Change:
    """One field or file that differs; None where a bundle does not have it."""

    name: str
    left: object
    right: object


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """What differs between two bundles.

    Attributes:
        fields: Manifest fields by dotted name.
        files: File sizes in bytes.
        items_added: Ids that only the second has, sorted.
        items_removed: Ids that only the first has, sorted.
    """

    fields: list[Change]
    files: list[Change]
    items_added: list[str]
    items_removed: list[str]

    @property
    def same(self) -> bool:
        """Whether the two are the same bundle."""
        return not (self.fields or self.files)


def diff(left: Bundle, right: Bundle) -> BundleDiff:
    """Compare two bundles: manifests field by field, files by hash, items by id."""
    old, new = left.manifest, right.manifest
    fields = _changes(
        dict(_flat(old.model_dump(mode="json"))), dict(_flat(new.model_dump(mode="json")))
    )
    names = sorted(old.files.keys() | new.files.keys())
    files = [
        Change(name, _size(left, name), _size(right, name))
        for name in names
        if old.files.get(name) != new.files.get(name)
    ]
    before, after = set(left.vocabulary.ids()), set(right.vocabulary.ids())
    return BundleDiff(fields, files, sorted(after - before), sorted(before - after))


def _size(bundle: Bundle, name: str) -> int | None:
    entry = bundle.manifest.files.get(name)
    return entry.n_bytes if entry else None


def _changes(left: Mapping[str, object], right: Mapping[str, object]) -> list[Change]:
    names = sorted(left.keys() | right.keys())
    return [
        Change(name, left.get(name), right.get(name))
        for name in names
        if left.get(name) != right.get(name)
    ]


def _flat(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if not prefix and name in NOT_COMPARED:
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
