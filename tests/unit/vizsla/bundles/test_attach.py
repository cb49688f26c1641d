"""A ranker comes into a bundle whole, fits its items, or is refused with what to do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from vizsla.bundle_cli import app
from vizsla.bundles import load
from vizsla.bundles.attach import attach_ranker, narrow_weights, number_in, ranker_columns
from vizsla.clock import FakeClock
from vizsla.errors import IncompatibleArtifactError, UsageError
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.rankers import tiny_ranker


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "bundles")


@pytest.fixture
def ranker(tmp_path):
    return tiny_ranker(tmp_path / "ranker")


def test_the_new_bundle_has_the_ranker_and_everything_else(bundle, ranker, tmp_path):
    """It knows its parent; the old bundle is as it was."""
    made = attach_ranker(bundle, ranker, tmp_path / "out", clock=FakeClock())
    opened = load(made.path)

    assert opened.manifest.parent == bundle.manifest.content_hash
    assert opened.manifest.ranker.model == "dnn"
    assert opened.manifest.ranker.columns == {"item_id": "item_id", "genre": "genre"}
    assert opened.ranker().manifest.content_hash == opened.manifest.ranker.content_hash
    assert opened.items.equals(bundle.items)
    assert load(bundle.path).ranker() is None


def test_a_second_ranker_takes_the_place_of_the_first(bundle, ranker, tmp_path):
    """Not one file of the first stays."""
    first = attach_ranker(bundle, ranker, tmp_path / "out", clock=FakeClock())
    other = tiny_ranker(tmp_path / "other", "lr")
    second = attach_ranker(first, other, tmp_path / "out", clock=FakeClock(), dtype="int8")

    assert second.manifest.ranker.model == "lr"
    assert second.manifest.parent == first.manifest.content_hash
    assert load(second.path).ranker().manifest.model.name == "lr"


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_narrow_tables_take_less_on_disk(bundle, ranker, tmp_path, dtype):
    """The files of the bundle, not only the server's memory."""
    clock, name = FakeClock(), "ranker/weights.safetensors"
    wide = attach_ranker(bundle, ranker, tmp_path / "out", clock=clock)
    narrow = attach_ranker(bundle, ranker, tmp_path / "out", clock=clock, dtype=dtype)

    assert narrow.manifest.files[name].n_bytes < wide.manifest.files[name].n_bytes
    assert narrow.manifest.content_hash != wide.manifest.content_hash


def test_item_fields_without_a_column_are_named(ranker, tmp_path):
    """With the option that says where they are."""
    bundle = tiny_bundle(tmp_path / "bundles")
    bundle.items = bundle.items.rename_columns(
        ["item_num", "item_id", "n_interactions", "title", "kind"]
    )

    with pytest.raises(UsageError, match=r"item fields genre; .*--column FIELD=COLUMN"):
        attach_ranker(bundle, ranker, tmp_path / "out", clock=FakeClock())
    made = attach_ranker(
        bundle, ranker, tmp_path / "out", clock=FakeClock(), columns={"genre": "title"}
    )
    assert made.manifest.ranker.columns["genre"] == "title"


def test_a_column_for_no_field_is_refused(bundle, ranker, tmp_path):
    """A typing mistake would otherwise leave the wrong column in use."""
    with pytest.raises(UsageError, match="gerne: no item field of this ranker"):
        attach_ranker(
            bundle, ranker, tmp_path / "out", clock=FakeClock(), columns={"gerne": "title"}
        )


def test_the_same_ranker_again_makes_no_new_bundle(bundle, ranker, tmp_path):
    """A script of commands can be run twice; another storage is another bundle."""
    parent = tmp_path / "out"
    made = attach_ranker(bundle, ranker, parent, clock=FakeClock(), dtype="int8")
    again = attach_ranker(made, ranker, parent, clock=FakeClock(), dtype="int8")
    wide = attach_ranker(made, ranker, parent, clock=FakeClock())

    assert again is made
    assert wide.path != made.path


def test_the_same_ranker_elsewhere_is_written_there(bundle, ranker, tmp_path):
    """Who names a directory finds a bundle in it."""
    made = attach_ranker(bundle, ranker, tmp_path / "out", clock=FakeClock())
    other = attach_ranker(made, ranker, tmp_path / "other", clock=FakeClock())

    assert other.path.parent == tmp_path / "other"


def test_a_column_for_a_dropped_item_field_is_not_refused(bundle, ranker, tmp_path):
    """One command serves every search of a frame."""
    fields = tuple(
        one.model_copy(update={"dim": 0}) if one.spec.name == "genre" else one
        for one in ranker.schema.fields
    )
    schema = ranker.schema.model_copy(update={"fields": fields})

    assert ranker_columns(schema, bundle, {"genre": "title"}) == {"item_id": "item_id"}


def test_a_ranker_of_another_bundle_is_refused_on_loading(bundle, ranker, tmp_path):
    """Its files are whole, but the manifest names another."""
    made = attach_ranker(bundle, ranker, tmp_path / "out", clock=FakeClock())
    entry = made.manifest.ranker.model_copy(update={"content_hash": "0" * 64})
    made.manifest = made.manifest.model_copy(update={"ranker": entry})
    from vizsla.bundles.load import _check_ranker

    with pytest.raises(IncompatibleArtifactError, match="not the ranker of the manifest"):
        _check_ranker(made)


def test_the_command_points_a_run_to_the_new_bundle(bundle, ranker, tmp_path):
    """A run directory's latest bundle is then the one with the ranker."""
    (tmp_path / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    arguments = ["attach-ranker", str(tmp_path), "--ranker", str(ranker.path), "--dtype", "int8"]
    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.output
    assert load(tmp_path).manifest.ranker.dtype == "int8"

    again = CliRunner().invoke(app, arguments)
    assert "already has this ranker" in again.output + again.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [(("--dtype", "int4"), "float32, bfloat16, int8"), (("--column", "genre"), "FIELD=COLUMN")],
)
def test_the_command_says_what_an_option_takes(bundle, ranker, option, said):
    """Not a traceback."""
    done = CliRunner().invoke(
        app, ["attach-ranker", str(bundle.path), "--ranker", str(ranker.path), *option]
    )

    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_narrow_weights_leave_the_backbone_alone():
    """Its rounding would show in every logit, and it is small."""
    weights = {
        "embeddings.tables.4.weight": np.ones((3, 4), np.float32),
        "embeddings.first.weight": np.ones((3, 1), np.float32),
        "backbone.layers.0.weight": np.ones((2, 4), np.float32),
    }
    stored = narrow_weights(weights, "int8")

    assert stored["embeddings.tables.4.weight"].dtype == np.int8
    assert stored["embeddings.tables.4.scale"].shape == (3,)
    assert stored["embeddings.first.weight"].dtype == np.float32
    assert stored["backbone.layers.0.weight"] is weights["backbone.layers.0.weight"]


def test_numbers_of_buckets_are_their_lower_ends():
    """As older bundles hold them; text that is none is no number."""
    assert pa.array([number_in(one) for one in ("7", "[7, 9.5)", "old", "[a, b)")]).to_pylist() == [
        7.0, 7.0, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_narrow_tables_are_not_narrowed_again(dtype):
    """Their scale would be lost."""
    weights = {"embeddings.tables.4.weight": np.ones((3, 4), np.float32)}
    once = narrow_weights(weights, dtype)

    with pytest.raises(UsageError, match="from the run that trained it"):
        narrow_weights(once, "float32")
