"""Conformance suite of bundles: every way to damage one, and what a reader must say.

For any complete bundle directory::

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_is_refused(damage, bundle_copy):
        named = DAMAGES[damage](bundle_copy)
        with pytest.raises(ArtifactError, match=re.escape(named)):
            load(bundle_copy)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from vizsla.bundles.layout import (
    GOLDEN_FILE,
    ITEMS_FILE,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    VECTORS_FILE,
    WEIGHTS_FILE,
    canonical,
    content_hash,
    manifest_hash,
)
from vizsla.files import sha256_file

__all__ = ["DAMAGES", "Damage", "flip_byte", "reseal"]

Damage = Callable[[Path], str]
"""Damages a bundle directory in place and returns the file name that the refusal must contain."""


def flip_byte(folder: Path, name: str, offset: int) -> str:
    """Change one bit of a file at ``offset``, counted from the end if negative."""
    path = folder / name
    path.chmod(0o644)
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.write_bytes(raw)
    return name


def reseal(folder: Path, changes: Mapping[str, object], files: tuple[str, ...] = ()) -> str:
    """Rewrite the manifest with other fields and right hashes, as a forger would.

    Args:
        folder: The bundle.
        changes: Manifest fields to replace.
        files: Files whose size and hash are taken from what is on disk now.
    """
    path = folder / MANIFEST_FILE
    fields = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    for name in files:
        size = (folder / name).stat().st_size
        fields["files"][name] = {"sha256": sha256_file(folder / name), "n_bytes": size}
    fields["content_hash"] = content_hash(fields)
    fields["manifest_hash"] = manifest_hash(fields)
    return _replace(folder, MANIFEST_FILE, canonical(fields))


def _replace(folder: Path, name: str, raw: bytes) -> str:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(raw)
    return name


def _missing(name: str) -> Damage:
    def damage(folder: Path) -> str:
        (folder / name).unlink()
        return name

    return damage


def _truncated(name: str) -> Damage:
    return lambda folder: _replace(folder, name, (folder / name).read_bytes()[:-1])


def _longer(name: str) -> Damage:
    return lambda folder: _replace(folder, name, (folder / name).read_bytes() + b"\0")


def _flipped(name: str) -> Damage:
    return lambda folder: flip_byte(folder, name, -2)


def _extra_file(folder: Path) -> str:
    return _replace(folder, "notes.txt", b"hello")


def _extra_nested_file(folder: Path) -> str:
    (folder / "deep" / "er").mkdir(parents=True)
    return _replace(folder, "deep/er/model.pkl", b"")


def _link(folder: Path) -> str:
    """The same bytes, but somewhere that can change later."""
    outside = folder.parent / "outside.npy"
    shutil.move(folder / VECTORS_FILE, outside)
    (folder / VECTORS_FILE).symlink_to(outside)
    return VECTORS_FILE


def _linked_manifest(folder: Path) -> str:
    outside = folder.parent / "outside.json"
    shutil.move(folder / MANIFEST_FILE, outside)
    (folder / MANIFEST_FILE).symlink_to(outside)
    return MANIFEST_FILE


def _linked_folder(folder: Path) -> str:
    (folder / "graph").symlink_to(folder.parent)
    return "graph"


def _manifest(raw: bytes) -> Damage:
    return lambda folder: _replace(folder, MANIFEST_FILE, raw)


def _field(**changes: object) -> Damage:
    return lambda folder: reseal(folder, changes)


def _later_time(folder: Path) -> str:
    """A field that the content hash leaves out is still protected."""
    raw = (folder / MANIFEST_FILE).read_bytes()
    return _replace(folder, MANIFEST_FILE, raw.replace(b'"created_at": "2', b'"created_at": "3'))


def _file_name(name: str) -> Damage:
    def damage(folder: Path) -> str:
        files = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["files"]
        entry = {"sha256": "0" * 64, "n_bytes": 0}
        return reseal(folder, {"files": {**files, name: entry}})

    return damage


def _unlisted(folder: Path) -> str:
    fields = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    del fields["files"][WEIGHTS_FILE]
    return reseal(folder, {"files": fields["files"]})


def _does_not_fit(name: str, **changes: object) -> Damage:
    """A manifest whose own hashes are right, but which is not about this file."""

    def damage(folder: Path) -> str:
        reseal(folder, changes)
        return name

    return damage


def _forged(name: str, raw: bytes) -> Damage:
    """Content that is not of its format, with a manifest that vouches for it."""

    def damage(folder: Path) -> str:
        _replace(folder, name, raw)
        reseal(folder, {"vectors_hash": sha256_file(folder / VECTORS_FILE)}, (name,))
        return name

    return damage


PARTS = (WEIGHTS_FILE, ITEMS_FILE, VECTORS_FILE, GOLDEN_FILE)

DAMAGES: dict[str, Damage] = {
    **{f"{name} missing": _missing(name) for name in PARTS},
    **{f"{name} one byte short": _truncated(name) for name in (*PARTS, MANIFEST_FILE)},
    **{f"{name} one byte longer": _longer(name) for name in (*PARTS, MANIFEST_FILE)},
    **{f"{name} one bit flipped": _flipped(name) for name in (*PARTS, MANIFEST_FILE)},
    **{f"{name} not of its format": _forged(name, b"no such thing\n") for name in PARTS},
    **{f"{name} empty": _forged(name, b"") for name in (WEIGHTS_FILE, ITEMS_FILE, VECTORS_FILE)},
    "extra file": _extra_file,
    "extra file in a folder": _extra_nested_file,
    "symbolic link": _link,
    "symbolic link as manifest": _linked_manifest,
    "symbolic link as folder": _linked_folder,
    "manifest empty": _manifest(b""),
    "manifest not JSON": _manifest(b"{not json"),
    "manifest not UTF-8": _manifest(b'{"a": "\xff"}'),
    "manifest a list": _manifest(b"[]"),
    "manifest nested too deep": _manifest(b"[" * 100_000),
    "manifest too large": _manifest(b" " * (MAX_MANIFEST_BYTES + 1)),
    "manifest with NaN": _manifest(b'{"format_version": NaN}'),
    "manifest time changed": _later_time,
    "manifest of the future": _field(format_version=2),
    "manifest without version": _field(format_version=None),
    "manifest field of a wrong type": _field(n_items="many"),
    "manifest field unknown": _field(secret=1),
    "manifest with more items": _does_not_fit(ITEMS_FILE, n_items=41),
    "manifest with wider vectors": _does_not_fit(VECTORS_FILE, embedding_size=9),
    "manifest leaves a file out": _unlisted,
    "file name leads outside": _file_name("../outside"),
    "file name is absolute": _file_name("/etc/passwd"),
    "file name with a backslash": _file_name("a\\b"),
    "file name of the manifest": _file_name(MANIFEST_FILE),
    "vocabulary of another bundle": _does_not_fit(ITEMS_FILE, vocab_hash="0" * 64),
    "vectors of another bundle": _does_not_fit(VECTORS_FILE, vectors_hash="0" * 64),
}
"""Every damage by name."""
