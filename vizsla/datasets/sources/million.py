"""A million items nobody has seen all of: their columns say what they are, and users choose by them.

Every item has a planted position, the sum of what its columns stand for.  A user has a
few interests, each one a category and a position in it, stays with one for a while, and
picks from a handful of that category's popular items whichever fits best.  The log
covers a fraction of the catalogue, so only a model that reads the columns can
place the rest; and a user's interests lie apart, so one vector per user is not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.sources.synthetic import numbered_ids
from vizsla.rng import numpy_generator

__all__ = ["SOURCE", "MillionOptions", "generate"]

START_S = 1_700_000_000
STEP_S = 600
ITEMS_PER_CATEGORY = 500
CATEGORIES_PER_DEPARTMENT = 50
BRANDS_PER_CATEGORY = 25
POSITION_SIZE = 32
N_INTERESTS = 3
STAY_PROBABILITY = 0.8
ELSEWHERE_PROBABILITY = 0.2
N_OFFERED = 24
SHARPNESS = 4.0
EVENTS_AT_ONCE = 20_000

COLUMNS = {"style": (64, 0.5), "colour": (32, 0.35), "material": (32, 0.35), "fit": (16, 0.25)}
"""Number of values of a column, and how far a value moves an item."""

DEPARTMENT_STEP, CATEGORY_STEP, BRAND_STEP, PRICE_STEP = 0.8, 0.8, 0.6, 0.3


@dataclass(frozen=True, slots=True)
class MillionOptions:
    """Size and seed; the same options give the same bytes.

    Attributes:
        items: Number of items N, at least 500.
        users: Number of users.
        per_user: Mean interactions of a user.
        seed: Of every random choice.
    """

    items: int = 1_000_000
    users: int = 20_000
    per_user: int = 60
    seed: int = 0

    @property
    def n_categories(self) -> int:
        """Number of categories; item ``i`` is in category ``i % n_categories``."""
        return max(1, self.items // ITEMS_PER_CATEGORY)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """The planted truth: codes of the columns, and ``(N, 32)`` float32 positions."""

    codes: dict[str, NDArray[np.int64]]
    price: NDArray[np.float64]
    positions: NDArray[np.float32]


def generate(options: MillionOptions) -> Tables:
    """Draw the tables of items and interactions.

    Example:
        >>> tables = generate(MillionOptions(items=1_000, users=4, per_user=5))
        >>> tables.items.height, tables.interactions["user_id"].n_unique()
        (1000, 4)
    """
    catalogue = _catalogue(options)
    return Tables(_interactions(options, catalogue), _items(options, catalogue))


def _catalogue(options: MillionOptions) -> _Catalogue:
    rng = numpy_generator(options.seed, "million", "items")
    n_categories = options.n_categories
    category = np.arange(options.items) % n_categories
    brands = rng.integers(2 * n_categories, size=(n_categories, BRANDS_PER_CATEGORY))
    chosen = brands[category, rng.integers(BRANDS_PER_CATEGORY, size=options.items)]
    codes = {"category": category, "brand": chosen}
    codes |= {name: rng.integers(n, size=options.items) for name, (n, _) in COLUMNS.items()}
    price = rng.normal(size=options.items)
    shown = np.asarray(np.round(np.exp(3 + 0.5 * price), 2), np.float64)
    return _Catalogue(codes, shown, _positions(rng, codes, price))


def _positions(
    rng: np.random.Generator, codes: dict[str, NDArray[np.int64]], price: NDArray[np.float64]
) -> NDArray[np.float32]:
    department = codes["category"] // CATEGORIES_PER_DEPARTMENT
    steps = [(department, DEPARTMENT_STEP), (codes["category"], CATEGORY_STEP)]
    steps += [(codes["brand"], BRAND_STEP)]
    steps += [(codes[name], step) for name, (_, step) in COLUMNS.items()]
    positions = np.outer(PRICE_STEP * price, _directions(rng, 1)).astype(np.float32)
    for values, step in steps:
        positions += np.float32(step) * _directions(rng, int(values.max()) + 1)[values]
    return positions


def _directions(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Return ``(n, 32)`` random vectors of about unit length."""
    drawn = rng.standard_normal((n, POSITION_SIZE), np.float32)
    return drawn / np.float32(np.sqrt(POSITION_SIZE))


def _interactions(options: MillionOptions, catalogue: _Catalogue) -> pl.DataFrame:
    rng = numpy_generator(options.seed, "million", "interactions")
    lengths = 3 + rng.poisson(max(0, options.per_user - 3), size=options.users)
    user = np.repeat(np.arange(options.users), lengths)
    starts = np.cumsum(lengths) - lengths
    liked = rng.integers(options.items, size=(options.users, N_INTERESTS))
    interest = _interests(rng, user, starts)
    chunks = range(0, len(user), EVENTS_AT_ONCE)
    wanted = liked[user, interest]
    item = np.concatenate(
        [_chosen(rng, wanted[at : at + EVENTS_AT_ONCE], options, catalogue) for at in chunks]
    )
    joined = rng.integers(0, 30 * 86_400, size=options.users)
    step = np.arange(len(user)) - starts[user]
    return pl.DataFrame(
        {
            "user_id": numbered_ids("u", user),
            "item_id": numbered_ids("i", item),
            "event_timestamp": (START_S + joined[user] + STEP_S * step).astype(np.float64),
            "event_type": pl.Series(["click"]).new_from_index(0, len(user)),
        }
    )


def _interests(
    rng: np.random.Generator, user: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return which of the user's interests each event serves: one lasts for about five events."""
    drawn = rng.integers(N_INTERESTS, size=len(user))
    fresh = rng.random(len(user)) > STAY_PROBABILITY
    fresh[starts] = True
    since = np.maximum.accumulate(np.where(fresh, np.arange(len(user)), 0))
    return np.asarray(drawn[since], np.int64)


def _chosen(
    rng: np.random.Generator,
    wanted: NDArray[np.int64],
    options: MillionOptions,
    catalogue: _Catalogue,
) -> NDArray[np.int64]:
    """Pick, for each event, the best of a few popular items near the wanted one's category."""
    offered = _offered(rng, wanted % options.n_categories, options)
    fit = np.einsum(
        "ecd,ed->ec", catalogue.positions[offered], catalogue.positions[wanted], optimize=True
    )
    noisy = SHARPNESS * fit + rng.gumbel(size=fit.shape)
    return np.asarray(offered[np.arange(len(wanted)), noisy.argmax(axis=1)], np.int64)


def _offered(
    rng: np.random.Generator, category: NDArray[np.int64], options: MillionOptions
) -> NDArray[np.int64]:
    """Draw items of a category, or sometimes of another one of its department; low ranks more often."""
    shape = (len(category), N_OFFERED)
    first = category // CATEGORIES_PER_DEPARTMENT * CATEGORIES_PER_DEPARTMENT
    others = first[:, None] + rng.integers(CATEGORIES_PER_DEPARTMENT, size=shape)
    elsewhere = rng.random(shape) < ELSEWHERE_PROBABILITY
    own = np.where(elsewhere, np.minimum(others, options.n_categories - 1), category[:, None])
    sizes = (options.items - own + options.n_categories - 1) // options.n_categories
    rank = np.floor(sizes * rng.random(shape) ** 1.5).astype(np.int64)
    return np.asarray(own + options.n_categories * np.minimum(rank, sizes - 1), np.int64)


def _items(options: MillionOptions, catalogue: _Catalogue) -> pl.DataFrame:
    columns = {name: numbered_ids(name[0], codes) for name, codes in catalogue.codes.items()}
    num = np.arange(options.items)
    return pl.DataFrame({"item_id": numbered_ids("i", num), **columns, "price": catalogue.price})


def _with_defaults(_folder: Path) -> Tables:
    return generate(MillionOptions())


SOURCE = DatasetSource(
    name="million",
    title="Synthetic: a million items described by their columns, seeded, for retrieval at scale",
    origin="synthetic, a million items, seed 0",
    licence="None needed: generated",
    files=(),
    parse=_with_defaults,
    order="time",
    item_features=(
        SideFeature(name="category", role="categorical"),
        SideFeature(name="brand", role="categorical"),
        *(SideFeature(name=name, role="categorical") for name in COLUMNS),
        SideFeature(name="price", role="numeric"),
    ),
)
