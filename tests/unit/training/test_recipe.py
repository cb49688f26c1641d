"""Recipes: files, variants, settings by hand."""

from pathlib import Path

import pytest

import training.recipes
from training.loop_settings import LoopSettings
from training.recipe import (
    StageSettings,
    load_recipe,
    parse_assignments,
    recipe_kind,
    setting_names,
)
from training.recipes import RECIPES
from vizsla.errors import ConfigError, NotFoundError, UnknownNameError


def test_every_file_is_registered():
    """Folder and table agree in both directions."""
    files = {path.name for path in Path(training.recipes.__file__).parent.glob("*.toml")}

    assert files == set(RECIPES.values())


@pytest.mark.parametrize("name", [one for one in RECIPES if recipe_kind(one) == "matcher"])
@pytest.mark.parametrize("order", ["ordered", "unordered"])
@pytest.mark.parametrize("count", ["few", "many"])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("users", ["few_users", "many_users"])
def test_every_recipe_is_valid_for_every_kind_of_data(name, order, count, size, users):
    """All variants of all recipes parse; the applied ones are named."""
    recipe = load_recipe(name, [order, count, size, users])

    assert recipe.name == name
    assert set(recipe.variants) <= {order, count, size, users}


def test_a_recipe_of_another_kind_is_refused():
    """A matcher is not made from a ranker's settings."""
    with pytest.raises(ConfigError, match="trains a ranker"):
        load_recipe("ranker")


@pytest.mark.parametrize("order", ["ordered", "unordered"])
@pytest.mark.parametrize("users", ["few_users", "many_users"])
def test_a_two_sided_model_has_no_deep_stage(order, users):
    """Whatever the data are like: it has no weight that such a stage could train."""
    kinds = [order, "many", "large", users]

    assert load_recipe("matcher", kinds, {"model": "two_sided"}).stage2.epochs == 0


def test_a_variant_changes_only_what_it_names():
    """The encoder differs by order, and the rest of the table stays."""
    ordered, unordered = (load_recipe("matcher", [kind]) for kind in ("ordered", "unordered"))

    assert ordered.model_settings["encoder"] != unordered.model_settings["encoder"]
    assert unordered.model == ordered.model


def test_a_setting_by_hand_wins():
    """It is applied after the variants."""
    recipe = load_recipe(
        "matcher", ["ordered"], {"model_settings.encoder": "pool", "stage1.epochs": 1}
    )

    assert recipe.model_settings["encoder"] == "pool"
    assert recipe.stage1.epochs == 1


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("stage2.epoch", "did you mean 'stage2.epochs'"),
        ("stage1.negatives.sampler_name", "unknown recipe setting"),
        ("stag1.epochs", "unknown recipe setting"),
        ("name.x", "is a value, not a table"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(key, message):
    """A typing error costs one line, not a training run."""
    with pytest.raises(ConfigError, match=message):
        load_recipe("matcher", [], {key: 1})


def test_a_wrong_value_is_named():
    """The message says which setting and what is allowed."""
    with pytest.raises(ConfigError, match=r"'stage1\.epochs'.*greater than or equal to 0"):
        load_recipe("matcher", [], {"stage1.epochs": -1})


def test_an_unknown_recipe_is_refused_with_the_nearest():
    """As every other name."""
    with pytest.raises(UnknownNameError, match="did you mean 'matcher'"):
        load_recipe("macher")


def test_a_recipe_can_be_a_file(tmp_path):
    """A path that ends in .toml is read as it is; a missing or broken one is one clear line."""
    path = tmp_path / "mine.toml"
    path.write_text("max_history = 7\n[stage1]\nepochs = 2\n")

    assert load_recipe(str(path)).max_history == 7
    assert load_recipe(str(path)).name == "mine"
    with pytest.raises(NotFoundError, match=r"other\.toml"):
        load_recipe(str(tmp_path / "other.toml"))
    path.write_text("max_history =")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_recipe(str(path))


def test_assignments_are_read_as_toml_or_text():
    """Numbers, booleans and lists by TOML's rules; what is none of them is text."""
    texts = ["a=1", "b.c=true", "d=[64, 32]", "e=bns", "f=1e-3", "g=a=b"]

    assert parse_assignments(texts) == {
        "a": 1, "b.c": True, "d": [64, 32], "e": "bns", "f": 1e-3, "g": "a=b",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="expected key=value"):
        parse_assignments(["stage2.epochs"])


def test_every_setting_of_a_stage_is_documented():
    """A setting that the docstring does not explain does not exist for the user."""
    documented = StageSettings.__doc__ + LoopSettings.__doc__
    for name in StageSettings.model_fields:
        assert f"{name}:" in documented
    assert "stage1.hard.options" in setting_names()


def test_every_knob_is_in_the_docs():
    """`docs/training.md` names every setting of a recipe."""
    text = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    leaves = {name.rpartition(".")[2] for name in setting_names()}

    assert {name for name in leaves if f"`{name}`" not in text} == set()


def test_a_figure_that_falls_as_a_model_gets_better_is_refused():
    """It has to be asked for with its sign turned."""
    with pytest.raises(ConfigError, match="write -nll"):
        load_recipe("matcher", ["ordered"], {"stage2.metric": "recall_at_20+nll"})
