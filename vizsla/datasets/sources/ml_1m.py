"""MovieLens-1M in the form that sequence models are compared on: films with five ratings or more."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import DatasetSource, Progress, Tables
from vizsla.datasets.download import extract, fetch_archive, first_that_works
from vizsla.datasets.text import read_bytes, read_delimited

__all__ = ["SOURCE"]

ARCHIVE_URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
ARCHIVE_MD5 = "c4d9eecfca2ab87c1945afe126590906"
LEAST_RATINGS = 5
CHRONOLOGICAL = "interactions_chrono.csv.gz"
RATINGS = "ratings.dat"


def parse(folder: Path) -> Tables:
    """Read the chronological file, or make it out of the original ``ratings.dat``."""
    if (folder / CHRONOLOGICAL).exists():
        ratings = pl.read_csv(read_bytes(folder / CHRONOLOGICAL))
    else:
        ratings = _chronological(folder / RATINGS)
    films = read_delimited(
        folder / "movies.dat", ["movie_id", "title", "genres"], "::", encoding="latin-1"
    )
    columns = ["user_id", "gender", "age", "occupation", "zip_code"]
    users = read_delimited(folder / "users.dat", columns, "::", encoding="latin-1")
    interactions = _interactions(ratings)
    return Tables(interactions, _items(films, interactions), _users(users))


def _chronological(path: Path) -> pl.DataFrame:
    ratings = read_delimited(path, ["user_id", "movie_id", "rating", "timestamp"], "::")
    return (
        ratings.filter(pl.len().over("movie_id") >= LEAST_RATINGS)
        .sort("user_id", "timestamp", maintain_order=True)
        .with_columns(pl.int_range(pl.len()).over("user_id").alias("seq_pos"))
    )


def _interactions(ratings: pl.DataFrame) -> pl.DataFrame:
    return ratings.select(
        pl.col("user_id").cast(pl.String),
        pl.col("movie_id").cast(pl.String).alias("item_id"),
        pl.col("seq_pos").cast(pl.Float64).alias("event_timestamp"),
        pl.lit("rating").alias("event_type"),
        pl.col("rating").cast(pl.Float64),
    )


def _items(films: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    rated = interactions.select("item_id").unique()
    return films.select(
        pl.col("movie_id").cast(pl.String).alias("item_id"),
        "title",
        pl.col("genres").str.split("|"),
        pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64).alias("release_year"),
    ).join(rated, on="item_id", how="semi", maintain_order="left")


def _users(users: pl.DataFrame) -> pl.DataFrame:
    return users.select(
        pl.col("user_id").cast(pl.String),
        "gender",
        # seven brackets and 21 jobs, coded: neither is a quantity
        pl.col("age").cast(pl.String).alias("age_bracket"),
        pl.col("occupation").cast(pl.String),
        pl.col("zip_code").cast(pl.String),
    )


def download(folder: Path, progress: Progress) -> None:
    """Take the tables out of the archive of GroupLens."""

    def from_archive() -> None:
        archive = fetch_archive(ARCHIVE_URL, folder, progress, md5=ARCHIVE_MD5)
        extract(archive, [f"ml-1m/{n}" for n in (RATINGS, "movies.dat", "users.dat")], folder)

    hint = "give a folder with ratings.dat, movies.dat and users.dat: vizsla data fetch ml-1m --from DIR"
    first_that_works([from_archive], hint=hint)


SOURCE = DatasetSource(
    name="ml-1m",
    title="MovieLens-1M: 999,611 ratings of 3,416 films by 6,040 users, in order per user",
    origin=f"GroupLens ({ARCHIVE_URL}), films with five ratings or more",
    licence=(
        "GroupLens: research use, acknowledge (Harper and Konstan 2015), no redistribution, "
        "no commercial use without permission"
    ),
    files=(f"{CHRONOLOGICAL}|{RATINGS}", "movies.dat", "users.dat"),
    parse=parse,
    order="position",
    item_features=(
        SideFeature(name="genres", role="multi_valued"),
        SideFeature(name="release_year", role="numeric"),
    ),
    user_features=(
        SideFeature(name="gender", role="categorical"),
        SideFeature(name="age_bracket", role="categorical"),
        SideFeature(name="occupation", role="categorical"),
        SideFeature(name="zip_code", role="ignored"),
    ),
    download=download,
)
