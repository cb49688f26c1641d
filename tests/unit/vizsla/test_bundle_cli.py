"""``vizsla bundle``."""

import json

import pytest
from typer.testing import CliRunner

from vizsla.bundle_cli import app
from vizsla.errors import CorruptArtifactError
from vizsla.testing.bundle_suite import flip_byte
from vizsla.testing.bundles import tiny_bundle

runner = CliRunner()


def run(*arguments):
    return runner.invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_show(tmp_path):
    """The manifest as tables, or whole as JSON."""
    bundle = tiny_bundle(tmp_path)
    text = run("show", bundle.path).output
    fields = json.loads(run("show", bundle.path, "--json").output)

    for part in (bundle.manifest.content_hash, "popularity", "items.parquet", "not built yet"):
        assert part in text
    assert fields["content_hash"] == bundle.manifest.content_hash
    assert fields["path"] == str(bundle.path)


def test_verify(tmp_path):
    """Says ok, or ends in the error that names the file."""
    bundle = tiny_bundle(tmp_path)
    assert ": ok, 4 files, " in run("verify", bundle.path).output
    assert json.loads(run("verify", bundle.path, "--json").output)["ok"] is True

    flip_byte(bundle.path, "item_vectors.npy", 200)
    with pytest.raises(CorruptArtifactError, match=r"item_vectors.npy: content"):
        run("verify", bundle.path)


def test_diff_tells_by_its_status_whether_two_differ(tmp_path):
    """0 for the same bundle, 1 for another, as ``diff`` does."""
    left, right = tiny_bundle(tmp_path), tiny_bundle(tmp_path, n_items=60)
    same = run("diff", left.path, left.path)
    other = run("diff", left.path, right.path)

    assert (same.exit_code, same.output) == (0, "the same bundle\n")
    assert other.exit_code == 1
    assert "20 items only in the second: item-40, " in other.output
    assert "vocab_hash" in other.output
    assert json.loads(run("diff", left.path, right.path, "--json").output)["same"] is False
