"""What a search may change, and how its values are drawn."""

import pytest
from hypothesis import given, strategies as st

from training.recipe import load_recipe
from training.recipe_text import recipe_text
from training.tuning.space import draw, parse_space, read_space
from vizsla.errors import ConfigError, NotFoundError

SPACE = {
    "stage1.learning_rate": {"log": [1e-4, 1e-2]},
    "stage1.reg": {"uniform": [0.0, 0.1]},
    "stage1.epochs": {"int": [1, 3]},
    "stage1.negatives.n_negatives": {"log_int": [16, 512]},
    "stage1.loss": ["sampled-softmax", "bpr"],
    "model_settings.dropout": [0.0, 0.1],
}


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_draws_stay_in_their_ranges(seed, trial):
    """Both ends of whole numbers included; logarithmic ones too."""
    found = draw(parse_space(SPACE), seed, trial)

    assert 1e-4 <= found["stage1.learning_rate"] <= 1e-2
    assert 0.0 <= found["stage1.reg"] <= 0.1
    assert found["stage1.epochs"] in (1, 2, 3)
    assert 16 <= found["stage1.negatives.n_negatives"] <= 512
    assert found["stage1.loss"] in SPACE["stage1.loss"]
    load_recipe("matcher", ["ordered"], found)


def test_a_draw_depends_on_seed_trial_and_setting_alone():
    """More trials or another setting change nothing; other trials and seeds do."""
    space = parse_space(SPACE)
    fewer = {name: space[name] for name in list(space)[:2]}

    assert draw(space, 0, 3) == draw(space, 0, 3)
    assert draw(fewer, 0, 3).items() <= draw(space, 0, 3).items()
    assert draw(space, 0, 3) != draw(space, 0, 4)
    assert draw(space, 0, 3) != draw(space, 1, 3)
    assert draw(space, 0, 0) == {}


def test_a_file_may_nest_its_settings(tmp_path):
    """Tables are joined with dots, down to the range."""
    path = tmp_path / "space.toml"
    path.write_text(
        "max_history = [20, 50]\n[stage1]\nlearning_rate = { log = [1e-4, 1e-2] }\n"
        "[stage1.negatives]\nn_negatives = [64, 128]\n"
    )

    assert read_space(path) == {
        "max_history": {"choice": [20, 50]},
        "stage1.learning_rate": {"log": [1e-4, 1e-2]},
        "stage1.negatives.n_negatives": {"choice": [64, 128]},
    }


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"stage1.learning_rat": [1, 2]}, "did you mean 'stage1.learning_rate'"),
        ({"stage1.reg": 0.1}, "expected a list of choices, or one of uniform"),
        ({"stage1.reg": {"normal": [0, 1]}}, "expected a list of choices"),
        ({"stage1.reg": []}, "choice needs a list of values"),
        ({"stage1.reg": {"log": [0, 1]}}, "log needs numbers above 0"),
        ({"stage1.reg": {"uniform": [1, 0]}}, "two numbers, the smaller one first"),
        ({"stage1.epochs": {"int": [1, 2.5]}}, "int needs whole numbers"),
    ],
)
def test_a_wrong_range_is_refused(space, message):
    """The message names the setting and what is wanted."""
    with pytest.raises(ConfigError, match=message):
        parse_space(space)


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    """By name."""
    with pytest.raises(NotFoundError, match=r"space\.toml"):
        read_space(tmp_path / "space.toml")
    (tmp_path / "space.toml").write_text("a = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_space(tmp_path / "space.toml")


@pytest.mark.parametrize("kinds", [("ordered", "few"), ("unordered", "many", "large")])
def test_a_written_recipe_is_the_same_recipe(tmp_path, kinds):
    """Whatever the data are: variants are applied already."""
    assignments = {"stage2.trained": ["a.", 'b"'], "stage2.hard.options": {"pool_size": 7}}
    recipe = load_recipe("matcher", kinds, assignments)
    path = tmp_path / "best.toml"
    path.write_text(recipe_text(recipe, "two\nlines"))

    for others in ((), ("ordered", "many"), ("unordered",)):
        again = load_recipe(str(path), others)
        assert again == recipe.model_copy(update={"name": "best", "variants": ()})
