"""Recipes: everything that decides how a model is trained, in one file.

A recipe is a TOML file.  Tables under ``variant`` change it for a kind of data and are
chosen by the dataset; what the user sets by hand wins over both.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.loop_settings import LoopSettings
from training.losses.adversarial import Direction, Where
from training.losses.logq import LogQ
from training.recipes import RECIPES
from vizsla.errors import ConfigError, NotFoundError, UnknownNameError
from vizsla.registry import unknown_name

__all__ = [
    "AdversarialSettings",
    "NegativeSettings",
    "Recipe",
    "StageSettings",
    "load_recipe",
    "parse_assignments",
    "recipe_kind",
    "recipe_table",
    "validated_recipe",
    "validated_settings",
]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NegativeSettings(_Settings):
    """One source of negatives.

    Attributes:
        sampler: Name in ``SAMPLERS``.
        n_negatives: Negatives per positive, S; 0 turns the source off.
        logq: Correction for how likely an item was drawn.
        score: Score that hard samplers look at; the two-sided one is far cheaper.
        options: Settings of the sampler itself.
    """

    sampler: str = "uniform"
    n_negatives: int = Field(default=256, ge=0)
    logq: LogQ = "off"
    score: Literal["two_sided", "deep"] = "two_sided"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)


class AdversarialSettings(_Settings):
    """The auxiliary task, see ``training.losses.adversarial``.

    Attributes:
        weight: Of the task's loss; 0 turns it off.
        rho: Perturbation relative to the mean absolute coordinate of the item vectors.
        direction: ``sign`` of the gradient, or along the ``gradient`` itself, equally far.
        where: Which items are moved: ``all``, the ``positive``, or the ``negatives``.
        start_ratio: Share of the stage's steps before it is switched on.
        n_items: Items per positive that are perturbed, the positive included.
    """

    weight: float = Field(default=0.0, ge=0)
    rho: float = Field(default=0.1, ge=0)
    direction: Direction = "sign"
    where: Where = "all"
    start_ratio: float = Field(default=0.3, ge=0, le=1)
    n_items: int = Field(default=16, ge=2)


class StageSettings(LoopSettings):
    """One stage of training a matcher.

    Attributes:
        targets_per_sequence: Targets drawn from a window per epoch; 0 for all.
        stride: New targets per window; 0 lets the kind of data decide.
        max_batches: Batches of an epoch, a random choice; 0 for all. Bounds what an epoch costs.
        split_ratio: 0 sees each target from its own context; above 0, about this share of
            a sequence is predicted from all the rest of it at once, which is much cheaper.
            Unordered data only.
        loss: Name in ``LOSSES``.
        deep_weight: Of the loss on the deep score; 0 trains the two-sided head alone.
        two_sided_weight: Of the loss on the two-sided head.
        deep_negatives: How many of the main source's negatives the deep score sees, which
            is what costs; the two-sided head sees all.  Unset: all.
        trained: Prefixes of the names of the weights that learn; the rest is frozen and its
            dropout off.  Empty: all learn.
        joint_targets: Above 0, all learns at once: the two-sided head from the whole batch, and
            what ``trained`` names from this many of its targets, see ``training.joint``.
        negatives: Main source of negatives.
        hard: Second source, off by default.
        hard_trains: Which score the second source trains: ``both`` or ``deep`` alone.
        adversarial: Auxiliary task on the deep score.
        item_learning_rate_ratio: Rate of the item net relative to the rest; 0 freezes it.
        validated: Score that validation ranks by; ``auto`` takes the deep one where it learns.
    """

    targets_per_sequence: int = Field(default=0, ge=0)
    stride: int = Field(default=0, ge=0)
    max_batches: int = Field(default=0, ge=0)
    split_ratio: float = Field(default=0.0, ge=0, le=0.6)
    loss: str = "sampled-softmax"
    deep_weight: float = Field(default=0.0, ge=0)
    two_sided_weight: float = Field(default=1.0, ge=0)
    deep_negatives: int | None = Field(default=None, ge=0)
    trained: tuple[str, ...] = ()
    joint_targets: int = Field(default=0, ge=0)
    negatives: NegativeSettings = NegativeSettings()
    hard: NegativeSettings = NegativeSettings(sampler="softmax", n_negatives=0, logq="negatives")
    hard_trains: Literal["both", "deep"] = "both"
    adversarial: AdversarialSettings = AdversarialSettings()
    item_learning_rate_ratio: float = Field(default=1.0, ge=0)
    validated: Literal["auto", "deep", "two_sided"] = "auto"

    @model_validator(mode="after")
    def _joint_is_complete(self) -> StageSettings:
        if self.joint_targets and not (self.hard.n_negatives and self.trained):
            raise ValueError("joint_targets needs hard.n_negatives and trained")
        return self

    @property
    def frozen_but(self) -> tuple[str, ...]:
        """Prefixes of what the optimiser may change; empty for all."""
        return () if self.joint_targets else self.trained

    @property
    def head(self) -> Literal["deep", "two_sided"]:
        """The score that validation ranks by."""
        if self.validated != "auto":
            return self.validated
        return "deep" if self.deep_weight else "two_sided"

    @property
    def is_deep(self) -> bool:
        """Whether the deep score takes part in the stage."""
        return self.deep_weight > 0 or self.adversarial.weight > 0


class Recipe(_Settings):
    """A whole training run, except data, seed and place.

    Attributes:
        name: Of the recipe.
        variants: Names of the variants that were applied.
        model: Name in ``MODELS``.
        model_settings: Hyperparameters of the model's own ``Config``.
        item_init: Start of the item embeddings: ``random``, or ``svd`` of the interactions.
        svd_power: Weight of the larger factors, see ``training.item_init``.
        max_history: Longest context in items.
        holdout_ratio: Share of each user's training interactions that stage 1 never sees and
            that are stage 2's targets, see ``training.holdout``; 0 trains both on all.
        holdout_seed: Draws the held-out part where the data has no order.
        validation_queries: Queries scored by the deep head after an epoch, and to fit its share;
            0 for all.
        gate_queries: Queries behind the publish gate; 0 for all.
        checkpoint_minutes: Minutes between checkpoints within an epoch.
        log_every: Steps between lines of the log.
        shards: Parts that a step's batch is cut into, each with negatives of its own, so that
            workers can share them, see ``training.sharding``; 0 takes the batch whole.
        stage1: The two-sided head, cheaply.
        stage2: The deep matcher, forked from stage 1.
        stage3: Off by default: after a holdout, the two-sided part once more on everything.
    """

    name: str
    variants: tuple[str, ...] = ()
    model: str = "nann"
    model_settings: dict[str, Any] = Field(default_factory=dict)
    item_init: Literal["random", "svd"] = "random"
    svd_power: float = Field(default=1.0, ge=0)
    max_history: int = Field(default=50, ge=1)
    holdout_ratio: float = Field(default=0.0, ge=0, le=0.5)
    holdout_seed: int = Field(default=0, ge=0)
    validation_queries: int = Field(default=2000, ge=0)
    gate_queries: int = Field(default=10_000, ge=0)
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    log_every: int = Field(default=20, ge=1)
    shards: int = Field(default=0, ge=0)
    stage1: StageSettings = StageSettings()
    stage2: StageSettings = StageSettings(epochs=0)
    stage3: StageSettings = StageSettings(epochs=0)

    @property
    def stages(self) -> tuple[StageSettings, ...]:
        """All stages in order."""
        return (self.stage1, self.stage2, self.stage3)


def load_recipe(
    name: str, kinds: Sequence[str] = (), assignments: Mapping[str, Any] | None = None
) -> Recipe:
    """Read a recipe by name or from a ``.toml`` file and apply its variants and settings.

    Args:
        name: Name in ``RECIPES``, or the path of a file that ends in ``.toml``.
        kinds: What the data is like, see ``training.model.data_kinds``; a variant of one of
            these names, or of the model's name, is applied, in the order of the file.
        assignments: Dotted key to value, applied last; see ``parse_assignments``.

    Raises:
        UnknownNameError: No such recipe.
        ConfigError: An unknown key or a wrong value; the message names it.

    Example:
        >>> load_recipe("matcher", ["unordered"], {"stage2.epochs": 3}).stage2.epochs
        3
    """
    if recipe_kind(name) != "matcher":
        raise ConfigError(f"recipe {name} trains a {recipe_kind(name)}, a matcher's is needed here")
    return validated_recipe(Recipe, recipe_table(name, kinds, assignments))


def recipe_kind(name: str) -> str:
    """Return what a recipe trains: ``matcher``, or what its file says.

    Raises:
        UnknownNameError: No such recipe.
        ConfigError: The file is not TOML.
    """
    return str(_read(name).get("kind", "matcher"))


def recipe_table(
    name: str, kinds: Sequence[str] = (), assignments: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read a recipe of any kind and apply its variants and settings; see ``load_recipe``."""
    table = _read(name)
    table.pop("kind", None)
    variants: dict[str, dict[str, Any]] = table.pop("variant", {})
    model = (assignments or {}).get("model", table.get("model"))
    applied = [kind for kind in variants if kind in (*kinds, model)]
    for kind in applied:
        table = _merged(table, variants[kind])
    table |= {"name": Path(name).stem, "variants": applied}
    for key, value in (assignments or {}).items():
        _assign(table, key, value)
    return table


def parse_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Parse ``key=value`` texts; a value is read as TOML, or else as plain text.

    Raises:
        ConfigError: A text without ``=``.

    Example:
        >>> parse_assignments(["stage2.epochs=3", "model=two_sided", "stage1.reg=0.1"])
        {'stage2.epochs': 3, 'model': 'two_sided', 'stage1.reg': 0.1}
    """
    parsed = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected key=value, for instance stage2.epochs=3")
        parsed[key.strip()] = _value(value.strip())
    return parsed


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(name))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"recipe {name}: not valid TOML: {error}") from error


def _text(name: str) -> str:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise NotFoundError(f"no such recipe file: {name}")
        return path.read_text(encoding="utf-8")
    if name not in RECIPES:
        raise UnknownNameError(unknown_name("recipe", name, RECIPES))
    return resources.files("training.recipes").joinpath(RECIPES[name]).read_text("utf-8")


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``change``, tables merged."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = (
            _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def _assign(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making tables on the way."""
    *parents, last = key.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"setting {key!r}: {parent!r} is a value, not a table")
    table[last] = value


Settings = TypeVar("Settings", bound=BaseModel)


def validated_recipe(kind: type[Settings], table: Mapping[str, Any]) -> Settings:
    """Validate all settings of a recipe.

    Raises:
        ConfigError: An unknown key or a wrong value; the message names it.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"unknown recipe setting {key!r}{_near(key, kind)}") from error
        raise ConfigError(f"recipe setting {key!r}: {first['msg']}") from error


def validated_settings(name: str, kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Validate the settings that a model or a sampler brings itself.

    Raises:
        ConfigError: An unknown one, or a wrong value; the message begins with ``name``.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        if first["type"] != "extra_forbidden":
            raise ConfigError(f"recipe setting {key!r}: {first['msg']}") from error
        known = ", ".join(kind.model_fields) or "none"
        raise ConfigError(f"unknown recipe setting {key!r}: known: {known}") from error


def _near(key: str, kind: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, setting_names(kind), n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def setting_names(model: type[BaseModel] = Recipe, prefix: str = "") -> list[str]:
    """Return the dotted names of all settings.

    Example:
        >>> "stage2.adversarial.rho" in setting_names()
        True
    """
    names = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += setting_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names
